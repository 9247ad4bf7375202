"""The road of messages for tests: booking's own worker on PostgreSQL, and records as Kafka hands them over."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

import orjson

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.location import ChairPlan
from services.booking.rules.closures import Closure
from services.booking.rules.course import Course
from services.booking.rules.decide import HEARS, aggregate_of, decide
from services.booking.store import courses as store
from shared.contract.register import EventData
from shared.decision.decision import Decision
from shared.decision.message import Message, Record, headers_of
from shared.postgres.pool import Database
from shared.postgres.query import rows
from shared.tables.outbox import unpack
from shared.worker.service_rules import HTTP, Answer, Rules
from shared.worker.worker import Worker
from tests.facts.course import NOW
from tests.stand_ins.booking_places import PLACES

BookingRules = Rules[Course | Closure, Calendar]
_OFFSETS = count()


class SetClock:
    """Shows what it was set to."""

    def __init__(self, time: datetime = NOW) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def at(self, wall: datetime) -> datetime:
        return min(wall, self.time)


def booking_rules(places: Mapping[str, ChairPlan] = PLACES) -> BookingRules:
    """What booking brings to the road."""
    return Rules("booking", HEARS, aggregate_of, partial(decide, places), partial(store.load, places), store.save)


def failing_on(rules: BookingRules, *courses: object) -> tuple[BookingRules, set[str]]:
    """The same rules with a defect on some courses; taken out of the set, a course is healed."""
    broken = {str(course) for course in courses}

    def decide_or_fail(
        course: Course | Closure | None, message: Message, now: datetime, calendar: Calendar
    ) -> Decision[Any, Calendar]:
        if message.data.key in broken:
            raise ZeroDivisionError("a secret value")
        return rules.decide(course, message, now, calendar)

    return replace(rules, decide=decide_or_fail), broken


def record(data: EventData, id: str | None = None, at: datetime = NOW) -> Record:
    """An event as it stands on Kafka, at an offset of its own."""
    headers = headers_of(data, id or str(uuid4()), "test", at, None)
    return raw(data.topic, data.model_dump_json().encode(), headers, data.key.encode(), at)


def raw(
    topic: str,
    value: bytes | None,
    headers: list[tuple[str, bytes]] | list[tuple[str, bytes | None]] | None = None,
    key: bytes | None = None,
    at: datetime = NOW,
) -> Record:
    """Whatever bytes somebody has put on Kafka."""
    return Record(topic, 0, next(_OFFSETS), int(at.timestamp() * 1000), key, value, tuple(headers or ()))


def request(data: EventData, id: str | None = None, at: datetime = NOW) -> Message:
    """An event that came by HTTP."""
    return Message(id or str(uuid4()), data.type, HTTP, at, at, data)


@dataclass(frozen=True)
class Road:
    """A worker with its database and its clock."""

    database: Database
    clock: SetClock
    worker: Worker[Course | Closure, Calendar]

    async def hear(self, *told: EventData | Record) -> None:
        """One batch from Kafka, which reached it at what the clock shows."""
        await self.worker.on_records(
            [one if isinstance(one, Record) else record(one, at=self.clock.time) for one in told]
        )

    async def submit(self, data: EventData, id: str | None = None) -> Answer:
        """One request by HTTP."""
        return await self.worker.submit(request(data, id, self.clock.time))

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """What stands in the database."""
        async with self.database.begin() as connection:
            return [dict(row) for row in await rows(connection, sql, **parameters)]

    async def values(self, sql: str, **parameters: Any) -> list[Any]:
        """The only column of what stands in the database."""
        return [next(iter(row.values())) for row in await self.rows(sql, **parameters)]

    async def published(self, key: object | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of the events in the outbox, in order."""
        found = await self.rows("SELECT topic, key, value, headers FROM outbox ORDER BY id")
        return [
            (dict(unpack(row["headers"]))["ce_type"].decode(), orjson.loads(row["value"]))  # type: ignore[union-attr]
            for row in found
            if row["topic"] == "booking.events" and (key is None or row["key"] == str(key).encode())
        ]

    async def types(self, key: object | None = None) -> list[str]:
        """Types of the events in the outbox, without the words that all share."""
        return [name.removeprefix("booking.").removesuffix(".v1") for name, _ in await self.published(key)]

    async def letters(self) -> list[tuple[str, str, str]]:
        """Kind, error type and status of every dead letter, in order."""
        found = await self.rows("SELECT kind, error_type, status FROM dead_letters ORDER BY id")
        return [(row["kind"], row["error_type"], row["status"]) for row in found]


@asynccontextmanager
async def road(url: str, rules: BookingRules | None = None, clock: SetClock | None = None) -> AsyncIterator[Road]:
    """A road on a database."""
    clock, database = clock or SetClock(), Database(url)
    try:
        yield Road(database, clock, Worker(rules or booking_rules(), database, clock, lambda **_: None))
    finally:
        await database.close()
