"""Kafka's topics from here on: what a test reads, or the services that it starts, must have been written by it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from struct import pack_into
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.record.util import calc_crc32c_py

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from deploy.preparing.heard import HEARS
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.connection import Kafka
from shared.kafka.topics import TOPICS, Partition, create_topics


class Tail:
    """A topic from where it ended when the tail was made."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, count: int, *keys: bytes, seconds: float = 20) -> list[ConsumerRecord]:
        """The next so many records with one of the keys."""
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                record = await self._consumer.getone()
                if record.key in keys:
                    found.append(record)
        return found


@asynccontextmanager
async def tail(kafka: str, topic: str) -> AsyncIterator[Tail]:
    """Listen to a topic from here on."""
    await create_topics(Cluster(kafka))
    async with consumer(kafka) as client:
        places = places_of(topic)
        client.assign(places)
        for place, end in (await client.end_offsets(places)).items():
            client.seek(place, end)
        yield Tail(client)


async def begin_at_the_end(kafka: str) -> dict[Partition, int]:
    """Earlier tests have left their events on the topics: the services' groups go on behind them.

    Returns:
        Where all topics ended.
    """
    await create_topics(Cluster(kafka))
    ends = await topic_ends(kafka)
    for service, topics in HEARS.items():
        heard = {TopicPartition(*place): end for place, end in ends.items() if place[0] in topics}
        async with consumer(kafka, group_id=service) as client:
            client.assign(list(heard))
            await client.commit(heard)
    return ends


async def topic_ends(kafka: str) -> dict[Partition, int]:
    """Where the topics end now."""
    async with consumer(kafka) as client:
        places = places_of(*(topic.name for topic in TOPICS))
        client.assign(places)  # it learns of topics that it was assigned much faster than of others
        return {(place.topic, place.partition): end for place, end in (await client.end_offsets(places)).items()}


def places_of(*topics: str) -> list[TopicPartition]:
    """All partitions of topics."""
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    return [TopicPartition(topic, number) for topic in topics for number in range(partitions[topic])]


@asynccontextmanager
async def consumer(kafka: str, *topics: str, **settings: object) -> AsyncIterator[AIOKafkaConsumer]:
    """A plain client that reads."""
    client = AIOKafkaConsumer(
        *topics, bootstrap_servers=kafka, enable_auto_commit=False, fetch_max_wait_ms=20, **settings
    )
    await client.start()
    await asyncio.sleep(0)  # its tasks begin; one that is ended before it began ends us, too
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def producer(kafka: str, **settings: object) -> AsyncIterator[AIOKafkaProducer]:
    """A plain client that writes."""
    client = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, **settings)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


LENGTH_AT, CHECKSUM_AT, ATTRIBUTES_AT, RECORDS_AT = 8, 17, 21, 61
"""Where a record batch has how long the rest is, the CRC-32C of all that follows it, how it is compressed, and its
records (Kafka's message format, version 2).
"""

GZIP = 1


async def delete_all(kafka: str, topic: str) -> None:
    """Nobody will read what stands there now."""
    ends = {TopicPartition(*place): end for place, end in (await topic_ends(kafka)).items() if place[0] == topic}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items()})
    finally:
        await admin.close()


def spoiled(client: AIOKafkaProducer, key: bytes, records: Sequence[tuple[bytes, Any]], gzipped: bool = False) -> Any:
    """A batch of values with headers in which names like `spoiled!` are not UTF-8 any more; its checksum is right."""
    sound, batch = client.create_batch(), client.create_batch()
    for value, headers in records:
        for one in (sound, batch):
            one.append(timestamp=None, key=key, value=value, headers=headers)
    sound.close()
    bad = bytearray(bytes(sound._build()).replace(b"spoiled!", b"\xff\xfeoiled!"))
    if gzipped:
        bad[RECORDS_AT:] = gzip.compress(bytes(bad[RECORDS_AT:]))
        pack_into(">i", bad, LENGTH_AT, len(bad) - LENGTH_AT - 4)
        pack_into(">h", bad, ATTRIBUTES_AT, GZIP)
    pack_into(">I", bad, CHECKSUM_AT, calc_crc32c_py(bytes(bad[CHECKSUM_AT + 4 :])))
    batch._build = lambda: bytes(bad)
    return batch


from_the_start = partial(consumer, auto_offset_reset="earliest")


async def ignore(_: object) -> None:
    """What comes."""


@asynccontextmanager
async def listening(
    mock: MockKafka,
    handle: Callable[[list[Record]], Awaitable[None]] = ignore,
    pass_over: Callable[[Mapping[Partition, int]], Awaitable[None]] = ignore,
) -> AsyncIterator[Kafka]:
    """A service's connection, started, that listens to what clinics ask for."""
    topics: Mapping[str, frozenset[str]] = {"clinic.requests": frozenset()}
    kafka = Kafka(Cluster(mock.address), "booking", topics, handle, pass_over, 0, PARTITIONS)
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.stop_listening()
        await kafka.stop()
