"""Which messages have had their effect: a row for each, written in the transaction of that effect."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from shared.contract.topics import SERVICE_TOPICS
from shared.decision.message import Message
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.tables.dead_letters import HELD_BACK


@dataclass(frozen=True, slots=True)
class Claim:
    """Of the ids of a batch: those never seen, and those seen with another payload.

    `held`: which of its aggregates wait for an operator. None where there were repeats: we may have waited for another
    replica that had them in hand, and cannot have seen what it held back.
    """

    new: frozenset[str] = frozenset()
    conflicting: frozenset[str] = frozenset()
    held: frozenset[str] | None = None


def digest(message: Message) -> bytes:
    """16 bytes that two deliveries of the same message share.

    Our own services send an event's bytes again as they were. Elsewhere the JSON may have been written another way, and
    the type may have got optional fields in between.
    """
    record = message.record
    if record is not None and record.topic in SERVICE_TOPICS and record.value is not None:
        data = record.value
    else:
        data = message.data.model_dump_json(exclude_defaults=True).encode()
    return blake2b(message.type.encode() + data, digest_size=16).digest()


async def claim(
    connection: Connection, entries: Iterable[tuple[str, bytes, str]], aggregates: Iterable[str], now: datetime
) -> Claim:
    """Take the ids that nobody had taken.

    Args:
        entries: id, digest and type of each message; an id may come twice.
        aggregates: what the messages are about.
    """
    first: dict[str, tuple[bytes, str]] = {}
    conflicting: set[str] = set()
    for id, payload, type_name in entries:
        if first.setdefault(id, (payload, type_name))[0] != payload:
            conflicting.add(id)
    if not first:
        return Claim()
    found = await rows(
        connection,
        f"""WITH taken AS (
                INSERT INTO inbox (id, digest, type, received_at)
                SELECT id, digest, type, :now
                FROM unnest(CAST(:ids AS text[]), CAST(:digests AS bytea[]), CAST(:types AS text[]))
                     AS m (id, digest, type)
                ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id)
            SELECT id, NULL AS held FROM taken UNION ALL SELECT NULL, aggregate FROM ({HELD_BACK}) AS waiting""",
        ids=list(first),
        digests=[payload for payload, _ in first.values()],
        types=[type_name for _, type_name in first.values()],
        now=now,
        aggregates=list(aggregates),
    )
    new = frozenset(row.id for row in found if row.id is not None)
    if repeats := [id for id in first if id not in new]:
        known = await rows(connection, "SELECT id, digest FROM inbox WHERE id = ANY(CAST(:ids AS text[]))", ids=repeats)
        conflicting.update(row.id for row in known if row.digest != first[row.id][0])
        return Claim(new, frozenset(conflicting))
    return Claim(new, frozenset(conflicting), frozenset(row.held for row in found if row.id is None))


async def hold(connection: Connection, id: str) -> bool:
    """Keep an id to this transaction; False where another has it in hand."""
    found = await rows(connection, "SELECT pg_try_advisory_xact_lock(hashtextextended(:id, 0)) AS ours", id=id)
    return bool(found[0].ours)


async def answer(connection: Connection, id: str) -> list[dict[str, Any]] | None:
    """What the caller of an HTTP request was told: the decision's events."""
    found = await rows(connection, "SELECT answer FROM inbox WHERE id = :id", id=id)
    return found[0].answer if found else None


async def keep_answer(connection: Connection, id: str, json: bytes) -> None:
    """Remember what the caller of an HTTP request is told."""
    await run(connection, "UPDATE inbox SET answer = CAST(:json AS json) WHERE id = :id", id=id, json=json.decode())


async def purge(connection: Connection, before: datetime) -> None:
    """Forget messages so old that no repeat of them can come any more."""
    await run(connection, "DELETE FROM inbox WHERE received_at < :before", before=before)
