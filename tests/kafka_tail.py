"""Kafka's topics from here on: what a test reads must have been written by it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared.kafka import TOPICS, create_topics


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
    await create_topics(kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, fetch_max_wait_ms=20, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = next(t.partitions for t in TOPICS if t.name == topic)
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(places)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)
        yield Tail(consumer)
    finally:
        await consumer.stop()


@asynccontextmanager
async def producer(kafka: str, **settings: object) -> AsyncIterator[AIOKafkaProducer]:
    """A plain client."""
    client = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, **settings)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()
