"""Deadlines that rules have set, and the fence that they wait behind.

A timer due at T is delivered only when the service has heard everything that stood on its topics at T: after an
outage nothing expires before the backlog is read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from aiokafka.errors import KafkaError

from shared import metrics
from shared.clock import Alarm, Clock
from shared.contract import TimerDue
from shared.database import TROUBLE, Connection, Database, Writes, rows
from shared.decision import Timer
from shared.envelope import Message, derived_id
from shared.inbox import heard_to
from shared.kafka import Kafka

log = logging.getLogger(__name__)

BATCH: Final = 500

REST: Final = 0.02
"""Seconds between two looks at the deadlines; commits come faster than that."""


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


class Fence:
    """Tells up to which instant everything that could forbid a deadline has been heard."""

    def __init__(self, database: Database, kafka: Kafka, clock: Clock) -> None:
        self._database = database
        self._kafka = kafka
        self._clock = clock

    async def passed(self) -> datetime:
        """Wait until all that is on this service's topics now has been heard, by any of its replicas.

        Returns:
            The instant, by our clock, at which the ends of the topics were read.

        Raises:
            KafkaError: the ends cannot be read; nothing may fall due.
        """
        now = self._clock.now()
        ends = await self._kafka.ends()
        while True:
            async with self._database.session() as connection:
                heard = await heard_to(connection)
            behind = {place: end for place, end in ends.items() if heard.get(place, 0) < end}
            if not behind:
                return now
            starts = await self._kafka.starts(behind)  # what retention has deleted will never be heard
            if all(starts[place] >= end for place, end in behind.items()):
                return now
            await asyncio.sleep(0.02)


class TimerLoop:
    """Delivers due timers. `run` goes on until cancelled; while Kafka is away timers wait."""

    def __init__(
        self,
        service: str,
        database: Database,
        fence: Fence,
        clock: Clock,
        alarm: Alarm,
        deliver: Callable[[datetime], Awaitable[int]],
    ) -> None:
        self._service = service
        self._database = database
        self._fence = fence
        self._clock = clock
        self._alarm = alarm
        self._deliver = deliver

    async def run(self) -> None:
        """Deliver what is due, sleep until the next deadline, again."""
        while True:
            try:
                await self._pass()
                await self._alarm.wait(REST)
            except (*TROUBLE, KafkaError) as trouble:
                log.warning("timers wait: %s", type(trouble).__name__)
                await asyncio.sleep(1)

    async def _pass(self) -> None:
        async with self._database.session() as connection:
            due_at = await next_due(connection)
        if due_at is not None and due_at <= self._clock.now():
            until = await self._fence.passed()
            metrics.TIMER_LATENESS.labels(self._service).observe((until - due_at).total_seconds())
            while await self._deliver(until):
                pass
            async with self._database.session() as connection:
                due_at = await next_due(connection)
        self._alarm.ring_at(due_at)
