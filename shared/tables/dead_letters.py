"""Messages that had no effect, kept to the byte.

`unreadable`: bad input; it blocks nothing. `defect`: a rule raised; it holds back its aggregate. `held_back`: came for
an aggregate that is held back and waits its turn. An operator retries (in order, with all that waits behind) or
discards with a reason. The bytes of personal topics stay in this database: on the dead-letter topic stand headers and
offset only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from shared.contract.internal import TimerDue
from shared.contract.register import INNER
from shared.contract.topics import ERASABLE
from shared.decision import trace
from shared.decision.message import Message, Outgoing, Record
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables.outbox import pack, unpack

Kind = Literal["unreadable", "defect", "held_back"]
Status = Literal["open", "retried", "discarded"]

TIMERS: Final = "timers"
"""Stands as the topic of a timer of our own."""

WEBHOOKS: Final = "webhooks"
"""Stands as the topic of what a provider told us; people's own words are in it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message and why it had no effect. `aggregate` is None for what could not be read."""

    message_id: str
    kind: Kind
    aggregate: str | None
    error_type: str
    error: str
    record: Record
    arrived_at: datetime

    @property
    def about(self) -> dict[str, str | None]:
        """What a line of the log tells of it."""
        trace_id = trace.id_of(trace.of_headers(self.record.headers, self.message_id))
        return {"course": self.aggregate, "event_id": self.message_id, "trace_id": trace_id}


def record_of(message: Message) -> Record:
    """What a message looked like on Kafka; what never stood there is written down as if it had come from there."""
    if message.record is not None:
        return message.record
    return Record(
        topic=WEBHOOKS if message.source == WEBHOOKS else TIMERS,
        partition=0,
        offset=0,
        timestamp_ms=int(message.time.timestamp() * 1000),
        key=message.data.key.encode(),
        value=message.data.model_dump_json().encode(),
        headers=(
            ("ce_id", message.id.encode()),
            ("ce_type", message.type.encode()),
            ("ce_traceparent", message.trace.encode()),
        ),
    )


def inner(record: Record, arrived_at: datetime) -> Message | None:
    """The message that `record_of` wrote down; None for one that stood on Kafka."""
    if record.topic not in (TIMERS, WEBHOOKS):
        return None
    headers = dict(record.headers)
    type_name = (headers.get("ce_type") or TimerDue.type.encode()).decode()
    data = INNER[type_name].model_validate_json(record.value or b"")
    time = data.due_at if isinstance(data, TimerDue) else arrived_at
    id = (headers["ce_id"] or b"").decode()
    return Message(id, type_name, record.topic, time, arrived_at, data, trace.of_headers(record.headers, id))


def outgoing(service: str, letter: DeadLetter) -> Outgoing:
    """The record for the dead-letter topic."""
    record = letter.record
    personal = record.topic in ERASABLE or record.topic == WEBHOOKS
    reason: list[tuple[str, bytes | None]] = [
        ("x-error-type", letter.error_type.encode()),
        ("x-error", letter.error.encode()),
        ("x-topic", record.topic.encode()),
        ("x-partition", str(record.partition).encode()),
        ("x-offset", str(record.offset).encode()),
    ]
    return Outgoing(
        event_id=f"dead/{letter.message_id}",
        topic=f"{service}.dead-letters",
        key=None if personal else record.key,
        value=None if personal else record.value,
        headers=[*record.headers, *reason],
    )


def add(writes: Writes, letters: Sequence[DeadLetter]) -> None:
    """Keep letters in their order."""
    if not letters:
        return
    writes.add(
        """INSERT INTO dead_letters (message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset,
                                     timestamp_ms, key, value, headers, arrived_at)
           SELECT message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset,
                  timestamp_ms, key, value, headers, arrived_at
           FROM unnest(CAST(:message_ids AS text[]), CAST(:kinds AS text[]), CAST(:aggregates AS text[]),
                       CAST(:error_types AS text[]), CAST(:errors AS text[]), CAST(:topics AS text[]),
                       CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:timestamps AS bigint[]),
                       CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:headers AS bytea[]),
                       CAST(:arrived AS timestamptz[])) WITH ORDINALITY
                AS l (message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset,
                      timestamp_ms, key, value, headers, arrived_at, number) ORDER BY number""",
        message_ids=[letter.message_id for letter in letters],
        kinds=[letter.kind for letter in letters],
        aggregates=[letter.aggregate for letter in letters],
        error_types=[letter.error_type for letter in letters],
        errors=[letter.error for letter in letters],
        topics=[letter.record.topic for letter in letters],
        partitions=[letter.record.partition for letter in letters],
        offsets=[letter.record.offset for letter in letters],
        timestamps=[letter.record.timestamp_ms for letter in letters],
        keys=[letter.record.key for letter in letters],
        values=[letter.record.value for letter in letters],
        headers=[pack(letter.record.headers) for letter in letters],
        arrived=[letter.arrived_at for letter in letters],
    )


HELD_BACK: Final = """SELECT DISTINCT aggregate FROM dead_letters
    WHERE status = 'open' AND aggregate = ANY(CAST(:aggregates AS text[]))"""
"""Which of these aggregates wait for an operator, as SQL."""


async def held_back(connection: Connection, aggregates: Iterable[str]) -> frozenset[str]:
    """Which of these aggregates wait for an operator."""
    return frozenset(row.aggregate for row in await rows(connection, HELD_BACK, aggregates=list(aggregates)))


async def listed(connection: Connection, status: Status, limit: int = 200) -> list[dict[str, Any]]:
    """What waits for an operator, or how it was ended, oldest first: offsets and reasons, no bytes."""
    found = await rows(
        connection,
        """SELECT id, message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset, arrived_at,
                  ended_at, ended_by, reason
           FROM dead_letters WHERE status = :status ORDER BY id LIMIT :limit""",
        status=status,
        limit=limit,
    )
    return [dict(row) for row in found]


async def open_by_kind(connection: Connection) -> dict[str, int]:
    """How many wait for an operator, of each kind that there is."""
    found = await rows(connection, "SELECT kind, count(*) AS n FROM dead_letters WHERE status = 'open' GROUP BY kind")
    return {row.kind: row.n for row in found}


async def matching(connection: Connection, ids: Sequence[int], error_type: str | None) -> list[int]:
    """The open ones among these, and those of an error type, oldest first."""
    found = await rows(
        connection,
        """SELECT id FROM dead_letters
           WHERE status = 'open' AND (id = ANY(CAST(:ids AS bigint[])) OR error_type = :error_type) ORDER BY id""",
        ids=list(ids),
        error_type=error_type,
    )
    return [row.id for row in found]


async def chain(connection: Connection, id: int) -> list[tuple[int, DeadLetter]]:
    """One open letter and all that waits behind it, in order, locked; empty where there is none."""
    found = await rows(
        connection,
        """SELECT l.* FROM dead_letters l JOIN dead_letters f ON f.id = :id AND f.status = 'open'
           WHERE l.status = 'open' AND (l.id = f.id OR l.aggregate = f.aggregate) ORDER BY l.id FOR UPDATE OF l""",
        id=id,
    )
    return [
        (
            row.id,
            DeadLetter(
                row.message_id,
                row.kind,
                row.aggregate,
                row.error_type,
                row.error,
                Record(
                    row.topic,
                    row.partition,
                    row.kafka_offset,
                    row.timestamp_ms,
                    row.key,
                    row.value,
                    tuple(unpack(row.headers)),
                ),
                row.arrived_at,
            ),
        )
        for row in found
    ]


async def end(
    connection: Connection,
    ids: Sequence[int],
    status: Literal["retried", "discarded"],
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Close letters for good."""
    await run(
        connection,
        """UPDATE dead_letters SET status = :status, ended_at = :now, ended_by = :by, reason = :reason
           WHERE id = ANY(CAST(:ids AS bigint[]))""",
        ids=list(ids),
        status=status,
        by=by,
        reason=reason,
        now=now,
    )


async def with_followers(connection: Connection, id: int) -> Any | None:
    """One letter, open or ended, with all its columns, `value_bytes`, its value's length, and `behind`, how many open
    ones wait behind it; None where there is none.
    """
    found = await rows(
        connection,
        """SELECT l.*, length(l.value) AS value_bytes,
                  (SELECT count(*) FROM dead_letters b WHERE b.status = 'open' AND l.status = 'open'
                   AND b.aggregate = l.aggregate AND b.id > l.id) AS behind
           FROM dead_letters l WHERE id = :id""",
        id=id,
    )
    return found[0] if found else None


async def open_of_course(connection: Connection, course_id: UUID) -> Sequence[Any]:
    """The open letters of one course, oldest first: id, kind, error_type, topic, at."""
    return await rows(
        connection,
        """SELECT id, kind, error_type, topic, arrived_at AS at FROM dead_letters
           WHERE status = 'open' AND aggregate LIKE '%' || :course ORDER BY id""",
        course=str(course_id),
    )
