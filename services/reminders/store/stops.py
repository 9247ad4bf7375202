"""SQL of stops: whose texts the provider takes none of for now, for all replicas together."""

from collections.abc import Iterable
from typing import Final

from services.reminders.rules.stops import Stop
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

_LOCK: Final = 0x53544F50
"""Advisory lock of whoever may begin a stop: a row that is not there cannot be locked."""


async def in_force(connection: Connection, begins: bool = False, locked: bool = True) -> dict[str, Stop]:
    """The stops by their clinic.

    Args:
        begins: whether this transaction may begin one; another that would begin the same waits for its end.
        locked: whether it may change one that is there.
    """
    if begins:
        await run(connection, "SELECT pg_advisory_xact_lock(:lock)", lock=_LOCK)
    lock = "FOR UPDATE" if locked else ""
    found = await rows(connection, f"SELECT {', '.join(Stop._fields)} FROM stops ORDER BY clinic {lock}")
    return {row.clinic: Stop(*row) for row in found}


def keep(writes: Writes, stops: Iterable[Stop]) -> None:
    """Begin stops, or go on with them."""
    if changed := [stop._asdict() for stop in stops]:
        writes.insert("stops", Stop._fields, changed, key=["clinic"])


def end(writes: Writes, clinics: Iterable[str]) -> None:
    """Texts go again."""
    if ended := sorted(clinics):
        writes.add("DELETE FROM stops WHERE clinic = ANY(CAST(:clinics AS text[]))", clinics=ended)
