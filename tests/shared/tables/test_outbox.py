"""The outbox forgets."""

from shared.tables import outbox
from tests.facts.course import NOW
from tests.stand_ins.outbox import events, write
from tests.stand_ins.road import Road


async def test_the_outbox_forgets_what_is_long_published_and_nothing_else(booking: Road) -> None:
    await write(booking, *events(b"k", [b"1", b"2", b"3"]))
    await booking.rows("UPDATE outbox SET published_at = :now WHERE value = '1' RETURNING id", now=NOW)
    await booking.rows("UPDATE outbox SET published_at = now() WHERE value = '2' RETURNING id")
    async with booking.database.begin() as connection:
        await outbox.purge(connection, NOW.replace(hour=16))
        assert await outbox.unpublished(connection) == 1
    assert await booking.values("SELECT value FROM outbox ORDER BY id") == [b"2", b"3"]
