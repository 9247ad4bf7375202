"""Rows for booking's outbox."""

from collections.abc import Sequence
from uuid import uuid4

from shared.decision.message import Outgoing
from shared.postgres.writes import Writes
from shared.tables import outbox
from tests.facts.course import NOW
from tests.stand_ins.road import Road

TOPIC = "booking.events"


def events(key: bytes, values: Sequence[bytes]) -> list[Outgoing]:
    return [Outgoing(str(uuid4()), TOPIC, key, value, [("ce_id", value)]) for value in values]


async def write(booking: Road, *outgoing: Outgoing) -> None:
    async with booking.database.begin() as connection:
        writes = Writes()
        outbox.add(writes, outgoing, NOW)
        await writes.run(connection)
