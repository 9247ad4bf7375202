"""What a scrape reads of the texts: how many are overdue, and what is paused."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import Metric

from services.reminders.store import pauses, queue
from services.reminders.text.aggregates import SERVICE
from shared.instruments.metrics import Reading
from shared.postgres.values import Connection
from shared.service.readings import Look, since

OVERDUE: Final = Reading("chairtime_texts_overdue", "Texts that are due and could go out now")
OLDEST_OVERDUE: Final = Reading("chairtime_texts_overdue_seconds", "How long ago the oldest of them fell due")
PAUSES: Final = Reading(
    "chairtime_pauses", "Pauses in force: of all texts, of a clinic's, or of persons", ("scope", "clinic")
)


def look(served: Sequence[str]) -> Look:
    """Reads the gauges; `served` are locations."""

    async def read(connection: Connection, now: datetime) -> Iterable[Metric]:
        number, oldest = await queue.overdue(connection, now, served)
        paused = {("all", ""): 0, ("contact", ""): 0} | await pauses.counted(connection)
        return (
            OVERDUE.single(SERVICE, number),
            OLDEST_OVERDUE.single(SERVICE, since(oldest, now)),
            PAUSES.labelled(SERVICE, paused),
        )

    return read
