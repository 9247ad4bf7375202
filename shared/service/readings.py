"""What a scrape reads: how the road stands in the database and on Kafka. It answers in time, whatever is away.

A look that hangs is waited for by the next scrape, too: there is never more than one at PostgreSQL, and one at Kafka.
"""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

from aiokafka.errors import KafkaError
from prometheus_client import Metric

from shared import VERSION
from shared.configuration.api_keys import ApiKeys
from shared.decision.clock import Clock
from shared.instruments import metrics
from shared.kafka.connection import Kafka
from shared.kafka.topics import Partition
from shared.postgres.pool import TROUBLE, Database
from shared.postgres.values import Connection
from shared.tables import attention, dead_letters, outbox, timers
from shared.tables.heard import heard_to
from shared.worker.relay import Relay

PATIENCE: Final = 3
"""Seconds that a scrape waits for PostgreSQL and for Kafka, less than Prometheus waits for us."""

Look = Callable[[Connection, datetime], Awaitable[Iterable[Metric]]]
"""Reads some gauges of a service as of an instant of our clock."""

Offsets = Mapping[Partition, int]
T = TypeVar("T")


class _OneLook(Generic[T]):
    """One look at a time, given up after `PATIENCE` by whoever asked, and left to end by itself."""

    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self._look = look
        self._task: asyncio.Task[T | None] | None = None

    async def result(self) -> T | None:
        """What was seen; None where nothing answers."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._safely())
        await asyncio.wait({self._task}, timeout=PATIENCE)
        return self._task.result() if self._task.done() else None

    async def _safely(self) -> T | None:
        try:
            return await self._look()
        except (*TROUBLE, KafkaError):
            return None

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Readings:
    """The gauges of one service.

    Args:
        looks: the service's own, besides those of the road.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        kafka: Kafka,
        relay: Relay,
        keys: ApiKeys,
        clock: Clock,
        looks: Sequence[Look],
    ) -> None:
        self._service = service
        self._database = database
        self._kafka = kafka
        self._relay = relay
        self._keys = keys
        self._clock = clock
        self._looks = looks
        self._at_database = _OneLook(self._read_database)
        self._at_kafka = _OneLook(self._read_kafka)

    async def read(self) -> list[Metric]:
        """All that can be had now; what is away is missing, and told by `chairtime_database_up` and `_kafka_up`."""
        stored, topics = await asyncio.gather(self._at_database.result(), self._at_kafka.result())
        service = self._service
        read = [
            metrics.BUILD.labelled(service, {(VERSION, platform.python_version()): 1}),
            metrics.DATABASE_UP.single(service, stored is not None),
            metrics.KAFKA_UP.single(service, topics is not None),
            metrics.LAST_POLL.single(service, self._kafka.polled_at),
            metrics.RELAY_HOLDER.single(service, self._relay.holds),
            metrics.API_KEYS_IN_FORCE.single(service, self._keys.refresh() is None),
        ]
        if stored is not None:
            families, heard = stored
            read += families
            if topics is not None:
                read.append(metrics.LAG.labelled(service, lag(heard, *topics)))
        return read

    def stop(self) -> None:
        """Let go of looks that still hang."""
        self._at_database.stop()
        self._at_kafka.stop()

    async def _read_kafka(self) -> tuple[Offsets, Offsets]:
        ends = await self._kafka.ends()
        return await self._kafka.starts(ends), ends

    async def _read_database(self) -> tuple[list[Metric], Offsets]:
        async with self._database.begin() as connection:
            now = self._clock.now()
            families = list(await of_the_road(connection, self._service, now))
            for look in self._looks:
                families += await look(connection, now)
            return families, await heard_to(connection)


def lag(heard: Offsets, starts: Offsets, ends: Offsets) -> dict[tuple[str, ...], float]:
    """Messages not heard yet, by topic; what retention has deleted will never be heard."""
    behind: dict[tuple[str, ...], float] = {(topic,): 0 for topic, _ in ends}
    for partition, end in ends.items():
        behind[partition[0],] += max(0, end - max(heard.get(partition, 0), starts.get(partition, 0)))
    return behind


async def of_the_road(connection: Connection, service: str, now: datetime) -> Iterable[Metric]:
    """What waits in the tables that every service has."""
    waiting, oldest = await outbox.backlog(connection)
    letters = await dead_letters.open_by_kind(connection)
    matters = await attention.open_by_kind(connection)
    due_at = await timers.next_due(connection)
    return (
        metrics.OUTBOX_WAITING.single(service, waiting),
        metrics.OUTBOX_OLDEST.single(service, since(oldest, now)),
        metrics.DEAD_LETTERS_OPEN.labelled(service, {(kind,): letters.get(kind, 0) for kind in metrics.LETTERS}),
        metrics.ATTENTION_OPEN.labelled(service, {(kind,): n for kind, (n, _) in matters.items()}),
        metrics.ATTENTION_OLDEST.labelled(
            service, {(kind,): since(raised, now) for kind, (_, raised) in matters.items()}
        ),
        metrics.TIMERS_OVERDUE.single(service, since(due_at, now)),
    )


def since(instant: datetime | None, now: datetime) -> float:
    """Seconds that have passed since an instant; 0 where there is none, or where it is still to come."""
    return max(0.0, (now - instant).total_seconds()) if instant is not None else 0.0
