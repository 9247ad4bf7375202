"""Events on their way out: rows written with the decision, published in order by one relay.

Exactly one relay works on a database: it holds an advisory lock on its own connection, reads and marks on that same
connection, and so cannot mark anything once the lock is lost. A crash between publishing and marking repeats events;
whoever hears them drops repeats by their id.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import metrics
from shared.clock import Alarm
from shared.database import Database, rows, run

log = logging.getLogger(__name__)

LOCK: Final = 0x43484149
"""The advisory lock of the one relay of a database."""

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. Headers are bytes or null, as they will stand on Kafka."""

    event_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def pack(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as one value; Latin-1 keeps any bytes."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def unpack(packed: bytes) -> list[tuple[str, bytes | None]]:
    """The headers that `pack` packed."""
    return [(name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(packed)]


async def add(connection: AsyncConnection, outgoing: Sequence[Outgoing], now: datetime) -> None:
    """Write events down in their order; the rows that they are about must be locked by this transaction."""
    if outgoing:
        await run(
            connection,
            """INSERT INTO outbox (event_id, topic, key, value, headers, created_at)
               SELECT event_id, topic, key, value, headers, :now
               FROM unnest(CAST(:ids AS text[]), CAST(:topics AS text[]), CAST(:keys AS bytea[]),
                           CAST(:values AS bytea[]), CAST(:headers AS bytea[])) WITH ORDINALITY
                    AS o (event_id, topic, key, value, headers, number) ORDER BY number""",
            ids=[o.event_id for o in outgoing],
            topics=[o.topic for o in outgoing],
            keys=[o.key for o in outgoing],
            values=[o.value for o in outgoing],
            headers=[pack(o.headers) for o in outgoing],
            now=now,
        )


class Relay:
    """Publishes a database's outbox. `run` goes on until cancelled; trouble that passes is waited out."""

    def __init__(self, service: str, database: Database, producer: AIOKafkaProducer, alarm: Alarm) -> None:
        self._service = service
        self._database = database
        self._producer = producer
        self._alarm = alarm

    async def run(self) -> None:
        """Publish whatever comes, as the one relay or waiting to become it."""
        pause = 0.1
        while True:
            try:
                async with self._database.session() as connection:
                    while not (await rows(connection, "SELECT pg_try_advisory_lock(:lock) AS got", lock=LOCK))[0].got:
                        await self._alarm.wait()
                    try:
                        while True:
                            if await self._publish(connection) < BATCH:
                                await self._alarm.wait()
                            pause = 0.1
                    finally:
                        await connection.invalidate()  # closes the connection, and with it gives the lock back
            except (DBAPIError, KafkaError, OSError) as trouble:
                log.warning("relay waits: %s", type(trouble).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5)

    async def _publish(self, connection: AsyncConnection) -> int:
        waiting = await rows(
            connection,
            "SELECT id, topic, key, value, headers FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT :batch",
            batch=BATCH,
        )
        if not waiting:
            return 0
        sending = [
            await self._producer.send(row.topic, row.value, key=row.key, headers=unpack(row.headers)) for row in waiting
        ]
        places = await asyncio.gather(*sending)
        await run(
            connection,
            """UPDATE outbox
               SET published_at = clock_timestamp(), partition = p.partition, kafka_offset = p.kafka_offset
               FROM unnest(CAST(:ids AS bigint[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
                    AS p (id, partition, kafka_offset) WHERE outbox.id = p.id""",
            ids=[row.id for row in waiting],
            partitions=[place.partition for place in places],
            offsets=[place.offset for place in places],
        )
        metrics.PUBLISHED.labels(self._service).inc(len(waiting))
        return len(waiting)


async def unpublished(connection: AsyncConnection) -> int:
    """How many events wait for the relay."""
    return int((await rows(connection, "SELECT count(*) AS n FROM outbox WHERE published_at IS NULL"))[0].n)


async def purge(connection: AsyncConnection, before: datetime) -> None:
    """Delete rows that were published before an instant."""
    await run(connection, "DELETE FROM outbox WHERE published_at < :before", before=before)
