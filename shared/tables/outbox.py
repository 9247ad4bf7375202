"""Events on their way out: rows written with the decision. What publishes them stands in `shared.worker.relay`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from shared.decision.message import Outgoing
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes


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
