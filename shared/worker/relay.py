"""The relay: publishes the outbox in order, and marks what Kafka has taken.

Exactly one works on a database: it holds an advisory lock on its own connection, reads and marks on that same
connection, and so cannot mark anything once the lock is lost. A crash between publishing and marking repeats events;
whoever hears them drops repeats by their id.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from aiokafka.partitioner import murmur2
from asyncpg import InterfaceError

from shared.instruments import crash, metrics
from shared.postgres.pool import TROUBLE, Database
from shared.postgres.values import Connection
from shared.tables import outbox
from shared.worker.alarm import Alarm

log = logging.getLogger(__name__)

BATCH: Final = 1000


class Relay:
    """Publishes a database's outbox. `run` goes on until cancelled; trouble that passes is waited out.

    It ends when the producer has lost its place: only a new one, in a process that is started again, can go on.
    """

    def __init__(self, service: str, database: Database, producer: AIOKafkaProducer, alarm: Alarm) -> None:
        self._service = service
        self._database = database
        self._producer = producer
        self._alarm = alarm
        self.holds = False  # whether this process is the one relay

    async def run(self) -> None:
        """Publish whatever comes, as the one relay or waiting to become it."""
        pause = 0.1
        while True:
            try:
                async with self._database.session() as connection:
                    while not await outbox.lock_relay(connection):
                        await self._alarm.wait()
                    self.holds = True
                    try:
                        while True:
                            if await self._publish(connection) < BATCH:
                                await self._alarm.wait()
                            pause = 0.1
                    finally:
                        self.holds = False
                        with suppress(InterfaceError):  # it is closed already
                            connection.terminate()  # and so gives the lock back
            except OutOfOrderSequenceNumber:
                raise
            except (*TROUBLE, KafkaError) as trouble:
                log.warning("relay waits: %s", type(trouble).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)

    async def _publish(self, connection: Connection) -> int:
        waiting = await outbox.waiting(connection, BATCH)
        if not waiting:
            return 0
        crash.step("relay.read")
        published = await self._send(waiting)
        crash.step("relay.sent")
        await outbox.mark_published(connection, published)
        crash.step("relay.marked")
        metrics.PUBLISHED.labels(self._service).inc(len(waiting))
        return len(waiting)

    async def _send(self, waiting: Sequence[Any]) -> list[tuple[int, int, int]]:
        """Publish rows as record batches made here: `send` looks at each record alone, and costs five times as much.

        Returns:
            Id, partition and offset of each row.
        """
        of_partition: dict[tuple[str, int], list[Any]] = {}
        for row in waiting:
            partitions = len(await self._producer.partitions_for(row.topic))
            of_partition.setdefault((row.topic, partition_of(row.key or b"", partitions)), []).append(row)
        sent: list[tuple[int, list[int], Awaitable[Any]]] = []
        for (topic, partition), rows_there in of_partition.items():
            batch, ids = self._producer.create_batch(), list[int]()
            for row in rows_there:
                record = {"timestamp": None, "key": row.key, "value": row.value, "headers": outbox.unpack(row.headers)}
                if batch.append(**record) is None:  # full; a batch takes its first record whatever its size
                    sent.append((partition, ids, await self._producer.send_batch(batch, topic, partition=partition)))
                    batch, ids = self._producer.create_batch(), []
                    batch.append(**record)
                ids.append(row.id)
            sent.append((partition, ids, await self._producer.send_batch(batch, topic, partition=partition)))
        stored = await asyncio.gather(*(there for _, _, there in sent))
        return [
            (id, partition, first.offset + number)
            for (partition, ids, _), first in zip(sent, stored, strict=True)
            for number, id in enumerate(ids)
        ]


@lru_cache(65536)
def partition_of(key: bytes, partitions: int) -> int:
    """Where Java's default partitioner puts a key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
