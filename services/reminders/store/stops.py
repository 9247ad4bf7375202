"""SQL of stops: whose texts the provider takes none of for now, for all replicas together."""

from collections.abc import Iterable

from services.reminders.rules.stops import Stop
from shared.postgres.query import rows
from shared.postgres.values import Connection
from shared.postgres.writes import Writes


async def in_force(connection: Connection, lock: str = "") -> dict[str, Stop]:
    """The stops by their clinic.

    Args:
        lock: such as FOR UPDATE, where one may change.
    """
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
