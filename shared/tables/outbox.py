"""Events on their way out: rows written with the decision. What publishes them stands in `shared.worker.relay`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from shared.decision.message import Outgoing
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

LOCK: Final = 0x43484149
"""The advisory lock of the one relay of a database."""


def pack(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as one value; Latin-1 keeps any bytes."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def unpack(packed: bytes) -> list[tuple[str, bytes | None]]:
    """The headers that `pack` packed."""
    return [(name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(packed)]


def add(writes: Writes, outgoing: Sequence[Outgoing], now: datetime) -> None:
    """Write events down in their order; the rows that they are about must be locked by this transaction."""
    if outgoing:
        writes.add(
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


async def lock_relay(connection: Connection) -> bool:
    """Make this session the one that publishes, until its connection is closed; False while another is.

    Its marks are not waited for on the server's disk: one that a crash of the server forgets is told again, as one that
    a crash of the relay leaves out.
    """
    got: bool = (await rows(connection, "SELECT pg_try_advisory_lock(:lock) AS got", lock=LOCK))[0].got
    if got:
        await run(connection, "SET synchronous_commit = off")
    return got


async def waiting(connection: Connection, limit: int) -> Sequence[Any]:
    """Rows to publish, oldest first: id, topic, key, value and packed headers."""
    return await rows(
        connection,
        "SELECT id, topic, key, value, headers FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT :limit",
        limit=limit,
    )


async def mark_published(connection: Connection, published: Sequence[tuple[int, int, int]]) -> None:
    """Mark rows that Kafka has taken.

    Args:
        published: id, partition and offset of each.
    """
    await run(
        connection,
        """UPDATE outbox
           SET published_at = clock_timestamp(), partition = p.partition, kafka_offset = p.kafka_offset
           FROM unnest(CAST(:ids AS bigint[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
                AS p (id, partition, kafka_offset) WHERE outbox.id = p.id""",
        ids=[id for id, _, _ in published],
        partitions=[partition for _, partition, _ in published],
        offsets=[offset for _, _, offset in published],
    )


async def next_offsets(connection: Connection, topic: str) -> dict[tuple[str, int], int]:
    """The offset after the last event that was published, for each partition of a topic that has one."""
    found = await rows(
        connection,
        """SELECT partition, max(kafka_offset) + 1 AS next_offset FROM outbox
           WHERE topic = :topic AND kafka_offset IS NOT NULL GROUP BY partition""",
        topic=topic,
    )
    return {(topic, row.partition): row.next_offset for row in found}


async def by_ids_or_keys(
    connection: Connection, topic: str, ids: Sequence[str], keys: Collection[bytes]
) -> Sequence[Any]:
    """Event id, key and value of the rows that have one of these ids or keys."""
    return await rows(
        connection,
        """SELECT event_id, key, value FROM outbox WHERE topic = :topic AND
           (event_id = ANY(CAST(:ids AS text[])) OR key = ANY(CAST(:keys AS bytea[])))""",
        topic=topic,
        ids=ids,
        keys=sorted(keys),
    )


async def backlog(connection: Connection) -> tuple[int, datetime | None]:
    """How many events wait for the relay, and since when the oldest does."""
    (found,) = await rows(
        connection,
        """SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS waiting,
                  (SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1) AS oldest""",
    )
    return found.waiting, found.oldest


async def forget_kafka(connection: Connection, topic: str, heard: Mapping[int, int]) -> None:
    """The Kafka where the events stood is gone: publish again those of a topic that somebody has not heard.

    Args:
        topic: the events on others are published again whatever has been heard of them.
        heard: the offset, for each partition, before which everybody who hears the topic has heard all.
    """
    await run(
        connection,
        """UPDATE outbox SET partition = NULL, kafka_offset = NULL, published_at =
               CASE WHEN topic <> :topic OR kafka_offset < coalesce(
                    (SELECT h.next_offset
                     FROM unnest(CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
                          AS h (partition, next_offset) WHERE h.partition = outbox.partition), 0)
                    THEN published_at END
           WHERE kafka_offset IS NOT NULL""",
        topic=topic,
        partitions=list(heard),
        offsets=list(heard.values()),
    )


async def unpublished(connection: Connection) -> int:
    """How many events wait for the relay."""
    return int((await rows(connection, "SELECT count(*) AS n FROM outbox WHERE published_at IS NULL"))[0].n)


async def purge(connection: Connection, before: datetime) -> None:
    """Delete rows that were published before an instant."""
    await run(connection, "DELETE FROM outbox WHERE created_at < :before AND published_at < :before", before=before)


async def events_of_key(connection: Connection, key: bytes) -> Sequence[Any]:
    """The events under one key, oldest first, dead letters left out: event_id, value, packed headers, created_at,
    published_at. No index leads there: it reads the whole table.
    """
    return await rows(
        connection,
        """SELECT event_id, value, headers, created_at, published_at FROM outbox
           WHERE key = :key AND event_id NOT LIKE 'dead/%' ORDER BY id""",
        key=key,
    )
