"""How far each partition has been read, effects included, as this database knows it."""

from collections.abc import Mapping

from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes


async def heard_to(connection: Connection) -> dict[tuple[str, int], int]:
    """Up to which offset each partition has had its effect, by topic and partition."""
    found = await rows(connection, "SELECT topic, partition, next_offset FROM heard")
    return {(row.topic, row.partition): row.next_offset for row in found}


async def remember_own(connection: Connection, service: str) -> None:
    """Write down how far a service's own topic is known, before old rows of the outbox are purged."""
    await run(
        connection,
        """INSERT INTO heard (topic, partition, next_offset)
           SELECT topic, partition, max(kafka_offset) + 1 FROM outbox
           WHERE topic = :own AND kafka_offset IS NOT NULL GROUP BY topic, partition
           ON CONFLICT (topic, partition) DO UPDATE
           SET next_offset = greatest(heard.next_offset, excluded.next_offset)""",
        own=f"{service}.events",
    )


async def forget_all(connection: Connection) -> None:
    """Everything is to be heard from the beginning: the Kafka where it stood is gone."""
    await run(connection, "DELETE FROM heard")


def remember(writes: Writes, heard: Mapping[tuple[str, int], int]) -> None:
    """Write down how far partitions have been heard."""
    if heard:
        partitions = sorted(heard)
        writes.add(
            """INSERT INTO heard (topic, partition, next_offset)
               SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
               ON CONFLICT (topic, partition) DO UPDATE
               SET next_offset = greatest(heard.next_offset, excluded.next_offset)""",
            topics=[topic for topic, _ in partitions],
            partitions=[number for _, number in partitions],
            offsets=[heard[partition] for partition in partitions],
        )
