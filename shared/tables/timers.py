"""Deadlines that rules have set. What delivers them stands in `shared.worker.timer_loop`.

A timer due at T is delivered only when the service has heard everything that stood on its topics at T: after an
outage nothing expires before the backlog is read (`shared.worker.fence`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shared.contract.internal import TimerDue
from shared.decision.decision import Timer
from shared.decision.message import Message, derived_id
from shared.postgres.query import rows
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

BATCH: Final = 500


def save(writes: Writes, timers: Sequence[tuple[str, Timer, str, str]]) -> None:
    """Set and take back deadlines; of two with the same name the later in the list counts.

    Args:
        timers: aggregate, timer, and the traceparent and the id of the message that sets it. What the deadline causes
            has its ids from there: the same ones when the message is decided again on a database that was set back.
    """
    last = {(aggregate, t.kind, t.subject): (t.due_at, trace, cause) for aggregate, t, trace, cause in timers}
    gone = sorted(name for name, (due_at, *_) in last.items() if due_at is None)
    kept = sorted((*name, due_at, trace, cause) for name, (due_at, trace, cause) in last.items() if due_at is not None)
    if gone:
        writes.add(
            """DELETE FROM timers USING unnest(CAST(:a AS text[]), CAST(:k AS text[]), CAST(:s AS text[]))
               AS g (aggregate, kind, subject)
               WHERE (timers.aggregate, timers.kind, timers.subject) = (g.aggregate, g.kind, g.subject)""",
            a=[name[0] for name in gone],
            k=[name[1] for name in gone],
            s=[name[2] for name in gone],
        )
    if kept:
        writes.add(
            """INSERT INTO timers (aggregate, kind, subject, due_at, traceparent, id)
               SELECT * FROM unnest(CAST(:a AS text[]), CAST(:k AS text[]), CAST(:s AS text[]),
                                    CAST(:d AS timestamptz[]), CAST(:t AS text[]), CAST(:i AS uuid[]))
               ON CONFLICT (aggregate, kind, subject) DO UPDATE
               SET due_at = excluded.due_at, id = excluded.id, traceparent = excluded.traceparent""",
            a=[row[0] for row in kept],
            k=[row[1] for row in kept],
            s=[row[2] for row in kept],
            d=[row[3] for row in kept],
            t=[row[4] for row in kept],
            i=[derived_id(f"timer/{row[5]}/{'/'.join(row[:3])}") for row in kept],
        )


async def take_due(connection: Connection, now: datetime, limit: int = BATCH) -> list[Message]:
    """Take what is due as messages to this service, oldest first; those of a course that is held back stay."""
    taken = await rows(
        connection,
        """DELETE FROM timers WHERE (aggregate, kind, subject) IN (
               SELECT aggregate, kind, subject FROM timers t WHERE due_at <= :now
               AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.aggregate = t.aggregate AND d.status = 'open')
               ORDER BY due_at LIMIT :batch FOR UPDATE SKIP LOCKED)
           RETURNING aggregate, kind, subject, due_at, id, traceparent""",
        now=now,
        batch=limit,
    )
    return [
        Message(
            id=str(row.id),
            type=TimerDue.type,
            source="timers",
            time=row.due_at,
            arrived_at=now,
            data=TimerDue(of=row.aggregate, kind=row.kind, subject=row.subject, due_at=row.due_at),
            traceparent=row.traceparent,
        )
        for row in sorted(taken, key=lambda row: (row.due_at, row.aggregate, row.kind, row.subject))
    ]


async def next_due(connection: Connection) -> datetime | None:
    """The earliest deadline that is set, past or future."""
    first = await rows(
        connection,
        """SELECT due_at FROM timers t
           WHERE NOT EXISTS (SELECT FROM dead_letters d WHERE d.aggregate = t.aggregate AND d.status = 'open')
           ORDER BY due_at LIMIT 1""",
    )
    return first[0].due_at if first else None
