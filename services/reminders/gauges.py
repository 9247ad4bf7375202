"""What a scrape reads of the texts: how many are overdue, and what is paused."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from prometheus_client import Metric

from services.reminders.rules.stops import ACCOUNT, stop_of
from services.reminders.store import pauses, queue, stops
from services.reminders.text.aggregates import SERVICE
from shared.instruments.metrics import Reading
from shared.postgres.values import Connection
from shared.service.readings import Look, since

OVERDUE: Final = Reading("chairtime_texts_overdue", "Texts that are due and could go out now")
OLDEST_OVERDUE: Final = Reading("chairtime_texts_overdue_seconds", "How long ago the oldest of them fell due")
PAUSES: Final = Reading(
    "chairtime_pauses", "Pauses in force: of all texts, of a clinic's, or of persons", ("scope", "clinic")
)
STOPS: Final = Reading(
    "chairtime_sender_refused",
    "How often in a row the provider has refused the account, or a clinic's number, whose texts wait",
    ("clinic",),
)


def look(clinics: Mapping[str, str]) -> Look:
    """Reads the gauges; `clinics` are those of the served locations."""

    async def read(connection: Connection, now: datetime) -> Iterable[Metric]:
        stopped = await stops.in_force(connection, locked=False)
        open_to = [location for location in clinics if stop_of(stopped, clinics[location]) is None]
        number, oldest = await queue.overdue(connection, now, open_to)
        paused = {("all", ""): 0, ("contact", ""): 0} | await pauses.counted(connection)
        refused: dict[tuple[str, ...], float] = {(ACCOUNT,): 0}
        refused.update(((clinic,), stop.tries) for clinic, stop in stopped.items())
        return (
            OVERDUE.single(SERVICE, number),
            OLDEST_OVERDUE.single(SERVICE, since(oldest, now)),
            PAUSES.labelled(SERVICE, paused),
            STOPS.labelled(SERVICE, refused),
        )

    return read
