"""The relay makes its record batches itself: full ones, records without a key, and partitions as Java chooses them."""

import random

from aiokafka.partitioner import DefaultPartitioner

from shared.decision.message import Outgoing
from shared.worker.relay import partition_of
from tests.kafka_clients import producer, tail
from tests.road import Road
from tests.services.test_relay import TOPIC, booking, events, relay, write  # noqa: F401 - booking is a fixture


def test_a_key_goes_where_javas_partitioner_puts_it() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance, choose = random.Random(seed), DefaultPartitioner()
    for _ in range(2000):
        key, partitions = chance.randbytes(chance.randint(1, 70)), chance.randint(1, 50)
        assert partition_of(key, partitions) == choose(key, list(range(partitions)), list(range(partitions)))


async def test_rows_beyond_one_record_batch_keep_their_order_and_know_their_places(kafka: str, booking: Road) -> None:  # noqa: F811
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


async def test_a_record_with_neither_key_nor_value_is_published(kafka: str, booking: Road) -> None:  # noqa: F811
    await write(booking, Outgoing("dead/1", TOPIC, None, None, [("x-topic", b"clinic.contacts")]))
    async with tail(kafka, TOPIC) as topic, producer(kafka) as client, relay(booking, client):
        [record] = await topic.read(1, None)
    assert (record.key, record.value, list(record.headers)) == (None, None, [("x-topic", b"clinic.contacts")])
