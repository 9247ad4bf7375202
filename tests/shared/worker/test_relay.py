"""The relay on a real Kafka: what is in the outbox stands on its topic, in order, byte by byte, by one relay alone."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from shared.decision.message import Outgoing
from shared.worker.alarm import Alarm
from shared.worker.relay import BATCH, Relay, partition_of
from tests.stand_ins.kafka_clients import producer, tail
from tests.stand_ins.outbox import TOPIC, events, write
from tests.stand_ins.road import Road


class Spy:
    """A producer that counts what it is asked to send; `before` is awaited first."""

    def __init__(self, real: AIOKafkaProducer) -> None:
        self._real = real
        self.sends = 0
        self.before: Callable[[], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not name.startswith("send"):
            return found

        async def send(*args: Any, **told: Any) -> Any:
            if self.before is not None:
                await self.before()
            self.sends += 1
            return await found(*args, **told)

        return send


async def cut_relays(booking: Road) -> int:
    """End the database session of whoever holds the relay's lock."""
    return len(
        await booking.rows(
            """SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
    )


@asynccontextmanager
async def relay(booking: Road, client: object) -> AsyncIterator[Alarm]:
    """A relay at work, and the bell that wakes it."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    alarm = Alarm(scheduler, booking.clock, "relay")
    scheduler.start()  # whoever waits for the lock looks again every second
    task = asyncio.create_task(Relay("booking", booking.database, cast(AIOKafkaProducer, client), alarm).run())
    try:
        yield alarm
    finally:
        assert not task.done(), "a relay never ends by itself"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        scheduler.shutdown(wait=False)


async def test_events_of_a_key_keep_their_order_and_every_byte(kafka: str, booking: Road) -> None:
    keys = [uuid4().bytes for _ in range(5)]
    headers: list[tuple[str, bytes | None]] = [("a", b"\xff\x00\xfe"), ("a", b"again"), ("none", None), ("", b"")]
    rows = [
        Outgoing(str(uuid4()), TOPIC, key, None if n == 3 else b"\x80%d" % n, headers)
        for n in range(250)
        for key in keys
    ]
    assert len(rows) > BATCH
    await write(booking, *rows)
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client):
        records = await topic.read(len(rows), *keys)
    for key in keys:
        found = [record for record in records if record.key == key]
        assert [record.value for record in found] == [None if n == 3 else b"\x80%d" % n for n in range(250)]
        assert all(list(record.headers) == headers for record in found)


async def test_a_published_row_knows_where_it_stands(kafka: str, booking: Road) -> None:
    key = uuid4().bytes
    await write(booking, *events(key, [b"1", b"2", b"3"]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client) as alarm:
        records = await topic.read(3, key)
        await write(booking, *events(key, [b"4"]))
        alarm.ring()
        records += await topic.read(1, key)
        await write(booking, *events(key, [b"5"]))
        alarm.ring()
        await topic.read(1, key)  # the rows before are marked by now
    found = await booking.rows("SELECT value, partition, kafka_offset, published_at FROM outbox ORDER BY id LIMIT 4")
    assert [(row["value"], row["partition"], row["kafka_offset"]) for row in found] == [
        (record.value, record.partition, record.offset) for record in records
    ]
    assert all(row["published_at"] is not None for row in found)


async def test_of_two_relays_one_publishes_and_the_other_takes_over(kafka: str, booking: Road) -> None:
    key = uuid4().bytes
    await write(booking, *events(key, [b"1"]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client:
        one, two = Spy(client), Spy(client)
        async with relay(booking, one) as first_alarm:
            await topic.read(1, key)
            async with relay(booking, two) as second_alarm:
                await write(booking, *events(key, [b"2"]))
                second_alarm.ring()
                first_alarm.ring()
                await topic.read(1, key)
                await write(booking, *events(key, [b"3"]))
                first_alarm.ring()
                await topic.read(1, key)
                assert (one.sends, two.sends) == (3, 0)
        async with relay(booking, two):
            await write(booking, *events(key, [b"4"]))
            while (await topic.read(1, key))[0].value != b"4":
                """What the first had published may come again: it was perhaps not marked yet when it was ended."""
        assert one.sends == 3, "the first published nothing any more"
        assert two.sends in (1, 2), "the last event, perhaps after what came again"


async def test_a_relay_whose_session_is_cut_goes_on(kafka: str, booking: Road) -> None:
    key = uuid4().bytes
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client) as alarm:
        for n in range(3):
            await write(booking, *events(key, [b"%d" % n]))
            alarm.ring()
            while (await topic.read(1, key))[0].value != b"%d" % n:
                """What was published before may come again: it was not marked yet when the session was cut."""
            assert await cut_relays(booking) == 1


async def test_a_relay_that_has_lost_its_session_marks_nothing_and_so_publishes_again(
    kafka: str, booking: Road
) -> None:
    key = uuid4().bytes
    await write(booking, *events(key, [b"1", b"2"]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client:
        spy = Spy(client)

        async def cut_once() -> None:
            spy.before = None
            assert await cut_relays(booking) == 1

        spy.before = cut_once
        async with relay(booking, spy):
            records = await topic.read(4, key)
    assert [record.value for record in records] == [b"1", b"2", b"1", b"2"]
    assert {record.headers for record in records[:2]} == {record.headers for record in records[2:]}


async def test_a_relay_whose_producer_has_lost_its_place_ends_and_leaves_the_rows_to_the_next(
    kafka: str, booking: Road
) -> None:
    key = uuid4().bytes
    await write(booking, *events(key, [b"1"]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client:
        spy = Spy(client)

        async def lose_place() -> None:
            raise OutOfOrderSequenceNumber

        spy.before = lose_place
        alarm = Alarm(AsyncIOScheduler(timezone="UTC"), booking.clock, "relay")
        with pytest.raises(OutOfOrderSequenceNumber):
            await asyncio.wait_for(Relay("booking", booking.database, cast(AIOKafkaProducer, spy), alarm).run(), 10)
        async with relay(booking, client):
            (record,) = await topic.read(1, key)
    assert record.value == b"1"


def test_a_key_goes_where_javas_partitioner_puts_it() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance, choose = random.Random(seed), DefaultPartitioner()
    for _ in range(2000):
        key, partitions = chance.randbytes(chance.randint(1, 70)), chance.randint(1, 50)
        assert partition_of(key, partitions) == choose(key, list(range(partitions)), list(range(partitions)))


async def test_rows_beyond_one_record_batch_keep_their_order_and_know_their_places(kafka: str, booking: Road) -> None:
    values = [b"%04d" % number + b"x" * 900 for number in range(200)]  # told twice, in a header: a record batch holds 8
    row = events(b"one key", values)
    await write(booking, *row)
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client) as alarm:
        records = await topic.read(len(values), b"one key")
        await write(booking, *events(b"one key", [b"last"]))
        alarm.ring()
        await topic.read(1, b"one key")  # the rows before are marked by now
    assert [record.value for record in records] == values
    found = await booking.rows("SELECT partition, kafka_offset FROM outbox ORDER BY id LIMIT 200")
    assert [(row["partition"], row["kafka_offset"]) for row in found] == [(r.partition, r.offset) for r in records]


async def test_a_record_with_neither_key_nor_value_is_published(kafka: str, booking: Road) -> None:
    await write(booking, Outgoing("dead/1", TOPIC, None, None, [("x-topic", b"clinic.contacts")]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client):
        [record] = await topic.read(1, None)
    assert (record.key, record.value, list(record.headers)) == (None, None, [("x-topic", b"clinic.contacts")])
