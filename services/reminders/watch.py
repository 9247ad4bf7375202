"""What a scrape reads of the texts: how many are overdue, and what is paused."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client import Metric

from services.reminders import metrics, pauses, queue
from services.reminders.rules import SERVICE
from shared.database import Connection
from shared.readings import Look, since


def look(served: Sequence[str]) -> Look:
    """Reads the gauges; `served` are locations."""

    async def read(connection: Connection, now: datetime) -> Iterable[Metric]:
        number, oldest = await queue.overdue(connection, now, served)
        paused = {("all", ""): 0, ("contact", ""): 0} | await pauses.counted(connection)
        return (
            metrics.OVERDUE.is_(SERVICE, number),
            metrics.OLDEST_OVERDUE.is_(SERVICE, since(oldest, now)),
            metrics.PAUSES.of(SERVICE, paused),
        )

    return read
