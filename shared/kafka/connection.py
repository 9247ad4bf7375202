"""A service's connection to Kafka: what it hears and tells by, and what it asks about offsets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.consumer import Consumer
from shared.kafka.library_insides import ended_inside, learn_topics
from shared.kafka.topics import LARGEST, START_SECONDS, Partition

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 5
"""Seconds for the producer's last records: aiokafka waits for a broker for ever."""


class Kafka:
    """A service's consumer and producer, and a client that is asked for offsets.

    Args:
        cluster: where it is, and the service's account.
        service: name of the service, which is its consumer group.
        hears: the event types that are for it, by topic; what our services tell others is passed over.
        handle: takes a batch; what it raises brings the batch back after a pause.
        passed: is told offsets before which nothing is to be heard any more.
        rest: seconds between two small batches, at least.
        alone: take this many partitions of each topic without joining a group, since nobody shares them.
    """

    def __init__(
        self,
        cluster: Cluster,
        service: str,
        hears: Mapping[str, Set[str]],
        handle: Callable[[list[Record]], Awaitable[None]],
        passed: Callable[[Mapping[Partition, int]], Awaitable[None]],
        rest: float,
        alone: int | None = None,
    ) -> None:
        self.cluster = cluster
        self._service = service
        self._topics = tuple(hears)
        self.consumer = Consumer(cluster, service, hears, handle, passed, rest, alone)
        # Offsets are asked for on a connection of their own: on the consumer's they would wait behind each long poll.
        self._offsets = AIOKafkaConsumer(**cluster.aiokafka, client_id=f"chairtime-{service}-fence")
        self.producer = AIOKafkaProducer(
            **cluster.aiokafka,
            client_id=f"chairtime-{service}-relay",
            acks="all",
            enable_idempotence=True,
            max_batch_size=256 * 1024,  # the relay's batches are complete when they come
            max_request_size=LARGEST,
        )

    async def start(self) -> None:
        """Connect and begin to listen.

        Raises:
            KafkaConnectionError: no broker answered in time.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.producer.start()
                await self._offsets.start()
                await learn_topics(self._offsets, self._topics)
                await self.consumer.start()
        except TimeoutError:
            raise KafkaConnectionError("Kafka did not answer in time") from None

    async def stop_listening(self) -> None:
        """Finish the batch in hand and leave the group."""
        await self.consumer.stop()

    async def stop(self) -> None:
        """Let go of all connections; what no broker has taken meanwhile stands in the outbox."""
        await self._offsets.stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.producer.stop()
        except TimeoutError:
            log.warning("Kafka did not take what was on its way: it is published at the next start")

    async def reader(self, *more: str) -> AIOKafkaConsumer:
        """A started client with all partitions of our topics and `more`; it commits for the group, and is no member."""
        reader = AIOKafkaConsumer(
            **self.cluster.aiokafka,
            client_id=f"chairtime-{self._service}-reader",
            group_id=self._service,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await reader.start()
        topics = (*self._topics, *more)
        await learn_topics(reader, topics)
        reader.assign([TopicPartition(t, p) for t in topics for p in sorted(reader.partitions_for_topic(t) or ())])
        return reader

    async def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition of our topics.

        Raises:
            KafkaConnectionError: not connected.
        """
        partitions = self.consumer.partitions()
        return {(p.topic, p.partition): offset for p, offset in (await self._offsets.end_offsets(partitions)).items()}

    async def starts(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """The oldest offset that each partition still has."""
        found = await self._offsets.beginning_offsets([TopicPartition(*partition) for partition in partitions])
        return {(p.topic, p.partition): offset for p, offset in found.items()}

    @property
    def polled_at(self) -> float:
        """When messages were last asked for, in seconds since 1970."""
        return self.consumer.polled_at

    def trouble(self) -> str | None:
        """Why nothing is heard or told any more, or None; a broker that is away is waited for, and is none."""
        if trouble := self.consumer.trouble():
            return trouble
        ended = ended_inside(self.consumer.client, self._offsets, self.producer)
        return ended and f"{ended} has ended"
