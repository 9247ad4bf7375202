"""One subscriber a service, which hands over batches of raw records.

FastStream's defaults lose messages, so these are set on purpose: batches of raw bytes, a parser that looks into no
header, NACK on error (the batch comes again), and offsets committed only after the handler has returned. They are
committed twice a second, not with each batch: what is read again after a crash, the inbox drops.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from itertools import chain
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Assigned
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from shared.decision.message import Record
from shared.instruments import crash, metrics
from shared.kafka.cluster import Cluster
from shared.kafka.envelope import type_for_others
from shared.kafka.library_insides import (
    LOG,
    UNPARSED,
    RawBatches,
    consume_loop_ended,
    poll_by,
)
from shared.kafka.topics import Partition
from shared.kafka.unparsed import read_from
from shared.postgres.pool import TROUBLE

log = logging.getLogger(__name__)

MAX_RECORDS: Final = 1000
"""Records in one batch, and so in one transaction."""

POLL_MS: Final = 200
"""Milliseconds that the consumer waits for records before it looks at its positions."""

COMMIT_SECONDS: Final = 0.5
"""Between two commits of offsets."""

LONGEST_REST: Final = 0.01
"""Seconds between two small batches, where nothing else was asked for."""

LONGEST_SILENCE: Final = 0.05
"""Seconds until what gives no message to hear counts as heard, at least: a deadline may wait for it."""

MAX_POLL_MS: Final = 300_000
"""Milliseconds between two polls after which the group gives our partitions to others."""

STUCK_SECONDS: Final = 1.5 * MAX_POLL_MS / 1000
"""Without a poll after which nothing is expected of this process any more."""


class Consumer:
    """A service's subscriber: batches of records to its handler, and offsets committed once they have had their effect.

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
        self._cluster = cluster
        self._service = service
        self._hears = hears
        self._handle = handle
        self._passed = passed
        self._rest = rest
        self._pause = 0.0
        self._rests_until = 0.0
        self._uncommitted = False
        self._committed_at = time.monotonic()
        # Before these offsets everything has had its effect, and the database knows.
        self._done: dict[Partition, int] = {}
        self._silent_since: float | None = None
        self._polled_at = time.monotonic()
        self._broker = KafkaBroker(
            cluster.servers.split(","),
            security=_security(cluster),
            client_id=f"chairtime-{service}",
            consumer_only=True,
            allow_auto_create_topics=False,
            metadata_max_age_ms=10_000,  # topics and partitions that come later are seen soon
            apply_types=False,
            log_level=logging.DEBUG,
            logger=LOG,
            graceful_timeout=15,
        )
        batches = RawBatches(self._on_handled, lambda partition, offset: self.client.seek(partition, offset))
        self._subscriber = self._broker.subscriber(
            *(() if alone else hears),
            partitions=[Assigned(topic, number) for topic in hears for number in range(alone or 0)],
            group_id=service,
            batch=True,
            max_records=MAX_RECORDS,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            session_timeout_ms=6000,
            heartbeat_interval_ms=1500,
            max_poll_interval_ms=MAX_POLL_MS,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            parser=batches.parse,
            decoder=batches.decode,
        )
        poll_by(self._subscriber, self._next_batch)
        self._subscriber(self._on_batch)

    @property
    def polled_at(self) -> float:
        """When messages were last asked for, in seconds since 1970."""
        return time.time() - (time.monotonic() - self._polled_at)

    @property
    def client(self) -> AIOKafkaConsumer:
        """The client that the records come by.

        Raises:
            KafkaConnectionError: not connected.
        """
        if self._subscriber.consumer is None:
            raise KafkaConnectionError("not connected")
        return self._subscriber.consumer

    def trouble(self) -> str | None:
        """Why nothing is heard any more, or None; a ping would ask the broker, not the loop."""
        if self._subscriber.consumer is None:
            return "not connected"
        if consume_loop_ended(self._subscriber):
            return "the consume loop has ended"
        if (silent := time.monotonic() - self._polled_at) > STUCK_SECONDS:
            return f"the consume loop has not polled for {silent:.0f} seconds"
        return None

    def partitions(self) -> list[TopicPartition]:
        """All partitions of the topics, as far as they are known by now.

        Raises:
            KafkaConnectionError: not connected.
        """
        client = self.client
        return [
            TopicPartition(topic, number)
            for topic in self._hears
            for number in sorted(client.partitions_for_topic(topic) or ())
        ]

    async def start(self) -> None:
        """Connect and begin to listen."""
        await self._broker.start()

    async def stop(self) -> None:
        """Finish the batch in hand and leave the group."""
        await self._broker.stop()

    async def _next_batch(self, consumer: AIOKafkaConsumer) -> tuple[Record, ...]:
        """Some records. Called between two batches: all before the consumer's positions has had its effect.

        Only partitions whose position is known are asked: where a poll raises, the consumer has gone beyond what it had
        for others, and must be sent back.
        """
        self._polled_at = time.monotonic()
        read = [p for p in consumer.assignment() if consumer.highwater(p) is not None]
        positions = {p: await consumer.position(p) for p in read}
        await self._pass_silence({(p.topic, p.partition): offset for p, offset in positions.items()})
        if self._uncommitted and time.monotonic() - self._committed_at > COMMIT_SECONDS:
            await self._commit(consumer)
        if not positions:
            await asyncio.sleep(LONGEST_REST)
            return ()
        try:
            found = await self._poll(consumer, positions)
        except UNPARSED:
            return await self._around(consumer, positions)
        except KafkaError:
            _send_back(consumer, positions)
            raise
        return self._ours(chain(*found))

    async def _poll(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> list[list[Any]]:
        """Records by partition, asked for before a small batch's rest and after it.

        aiokafka fetches nothing while it has records that nobody has taken. What came while the last batch was carried
        is taken at once, so that what came since is fetched during the rest, and shares this batch.
        """
        waiting = await consumer.getmany(*partitions, max_records=MAX_RECORDS)
        if (rest := self._rests_until - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        if not (room := MAX_RECORDS - sum(map(len, waiting.values()))):
            return list(waiting.values())
        patience = 0 if waiting else POLL_MS if self._silent_since is None else LONGEST_SILENCE * 1000
        fetched = await consumer.getmany(*partitions, timeout_ms=patience, max_records=room)
        return [*waiting.values(), *fetched.values()]

    def _ours(self, found: Iterable[Any]) -> tuple[Record, ...]:
        """What may be for this service; what our services tell others wakes nobody up."""
        everything = list(found)
        hears = self._hears
        ours = tuple(
            raw(r) for r in everything if r.value is None or not type_for_others(r.topic, r.headers, hears[r.topic])
        )
        if others := len(everything) - len(ours):
            metrics.HEARD.labels(self._service, "not_ours").inc(others)
        return ours

    async def _pass_silence(self, positions: Mapping[Partition, int]) -> None:
        """Count as heard what gives no message to hear: what is for others, the markers of transactions, what
        compaction has removed, what the group has read before this database was made. It costs a transaction, so not
        at once.
        """
        silent = {partition: offset for partition, offset in positions.items() if offset > self._done.get(partition, 0)}
        if not silent:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = time.monotonic()
        elif time.monotonic() - self._silent_since > LONGEST_SILENCE:
            try:
                await self._passed(silent)
            except TROUBLE as trouble:
                log.warning("a gap in a topic waits to be passed: %s", type(trouble).__name__)
            else:
                self._done |= silent
                self._silent_since = None

    async def _around(self, consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]) -> tuple[Record, ...]:
        """Read what aiokafka's parser raises on by another client, and the rest once more (see `unparsed`)."""
        _send_back(consumer, positions)
        await asyncio.sleep(POLL_MS / 1000)  # until all is fetched again
        records: list[Record] = []
        for partition, offset in positions.items():
            try:
                found = await consumer.getmany(partition, timeout_ms=0, max_records=MAX_RECORDS)
                records += self._ours(found.get(partition, ()))
            except UNPARSED as trouble:
                log.warning("%s/%s has what cannot be parsed: %s", *partition, type(trouble).__name__)
                where = (partition.topic, partition.partition, offset)
                there = await asyncio.to_thread(read_from, self._cluster, self._service, *where)
                consumer.seek(partition, there[-1].offset + 1 if there else offset)
                records += there
        return tuple(records)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Between two batches: what was read has had its effect, or has been sought again."""
        self._committed_at = time.monotonic()
        try:
            await consumer.commit()
            self._uncommitted = False
        except KafkaError as trouble:  # such as a rebalance: whoever gets the partition reads a little again
            log.info("offsets are committed later: %s", type(trouble).__name__)

    def _on_handled(self) -> None:
        """A batch has had its effect: its offsets are committed with others'."""
        self._uncommitted = True

    async def _on_batch(self, records: tuple[Record, ...]) -> None:
        began = time.monotonic()
        try:
            await self._handle(list(records))
            self._done |= {(r.topic, r.partition): r.offset + 1 for r in records}
            self._pause = 0.0
            crash.step("worker.before_offsets")
        except Exception as trouble:
            log.warning("a batch of %d waits: %s", len(records), type(trouble).__name__, exc_info=True)
            self._pause = min(max(self._pause * 2, 0.1), 5)
            await asyncio.sleep(self._pause)
            raise
        if len(records) < MAX_RECORDS / 2:
            # A small batch is followed by a rest as long as it took: under load, what comes meanwhile shares the next.
            now = time.monotonic()
            self._rests_until = now + max(self._rest, min(now - began, LONGEST_REST))


def _send_back(consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
    for partition, offset in positions.items():
        consumer.seek(partition, offset)


def raw(r: Any) -> Record:
    """A record as aiokafka has read it."""
    return Record(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))


def _security(cluster: Cluster) -> BaseSecurity:
    if cluster.user is None:
        return BaseSecurity(cluster.tls)
    kinds = {"SCRAM-SHA-512": SASLScram512, "SCRAM-SHA-256": SASLScram256, "PLAIN": SASLPlaintext}
    return kinds[cluster.mechanism](cluster.user, cluster.password or "", cluster.tls)
