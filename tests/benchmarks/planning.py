"""`python -m tests.benchmarks.planning`: how much of booking's time is planning and how much is its SQL.

A location of 20 chairs on which 5,000 sessions are held. Each line is the road of a message beside the bare statements
that it cannot do without, sent by hand on the same PostgreSQL, in one run; what counts is the ratio.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

import asyncpg
import orjson

from deploy.local.postgres import EmbeddedPostgres
from deploy.preparing.databases import provision
from services.booking.chairs.free_starts import first_seats
from services.booking.store.calendar import occupancy
from shared.contract.clinic import CoursePlan, CourseRequested
from tests.facts.clinic import course_requested
from tests.facts.course import NOW
from tests.stand_ins.booking_places import room
from tests.stand_ins.road import Road, booking_rules, road

PLACES: Final = room(20)
PLACE: Final = PLACES["stella"]
MONDAY: Final = date(2026, 3, 9)
DAY, VISIT = timedelta(days=1), timedelta(minutes=105)
HELD, FILLED, BATCH, TIMES = 5000, 60, 500, 15
"""Sessions held, weekdays that they lie on, courses of a batch, and how often a thing is measured."""


def at(day: date, slot: int) -> datetime:
    """The start of a day's visit."""
    return datetime.combine(day, PLACE.location.hours[0].opens, PLACE.location.tz) + slot * VISIT


def course(starts: Sequence[datetime], treatment: str = "ketamine_induction") -> CourseRequested:
    """A new patient's."""
    sessions = tuple({"session_id": uuid4(), "starts_at": start} for start in starts)
    return _requested(sessions=sessions, treatment=treatment)


def _requested(**told: Any) -> CourseRequested:
    id = uuid4()
    return course_requested(course=id, patient_id=str(id), **({"sessions": None} | told))


def residents() -> Iterator[CourseRequested]:
    """Single sessions over many days, none of which is full."""
    weekdays = [MONDAY + n * DAY for n in range(2 * FILLED) if (MONDAY + n * DAY).weekday() < 5][:FILLED]
    for number in range(HELD):
        yield course([at(weekdays[number % FILLED], number // FILLED % 6)], "ketamine_maintenance")


def newcomers(block: int) -> list[CourseRequested]:
    """A batch of courses of six, in weeks that nobody has used."""
    found = []
    for number in range(BATCH):
        group, slot = divmod(number, 6 * 20)
        first = MONDAY + (60 + 9 * block + 3 * (group // 2)) * 7 * DAY + group % 2 * DAY
        found.append(course([at(first + (7 * week + day) * DAY, slot % 6) for week in range(3) for day in (0, 3)]))
    return found


READ = """SELECT session_id, chair, provider, patient_id, starts_at, ends_at FROM sessions
          WHERE location = 'stella' AND starts_at >= $1 AND starts_at < $2 AND occupies"""
WRITE = (
    "INSERT INTO inbox (id, digest, type, received_at) SELECT id, '', '', now() FROM unnest($1::text[]) AS id",
    """INSERT INTO courses (course_id, state, request, patient_id, location, hold_expires_at, hold_open, waiting)
       SELECT course_id, state, request, patient_id, location, hold_expires_at, hold_open, waiting
       FROM json_populate_recordset(NULL::courses, $1::json)""",
    """INSERT INTO sessions (course_id, session_id, number, state, starts_at, ends_at, location, chair, provider,
                             patient_id, version, "grant", time_zone)
       SELECT course_id, session_id, number, state, starts_at, ends_at, location, chair, provider, patient_id, version,
              "grant", time_zone
       FROM json_populate_recordset(NULL::sessions, $1::json)""",
    """INSERT INTO outbox (event_id, topic, key, value, headers, created_at)
       SELECT id, 'booking.events', '', '', '', now() FROM unnest($1::text[]) AS id""",
    """INSERT INTO timers (aggregate, kind, subject, due_at)
       SELECT id, 'hold', '', now() FROM unnest($1::text[]) AS id""",
)


async def write_by_hand(connection: asyncpg.Connection, wishes: Sequence[CourseRequested]) -> None:
    """The rows of accepted courses, all known beforehand."""
    ids = [str(wish.course_id) for wish in wishes]
    held = {"state": "accepted", "hold_expires_at": NOW, "hold_open": True, "waiting": [], "location": "hand"}
    seated = {"state": "held", "location": "hand", "version": 1, "grant": 0, "time_zone": "UTC"}
    courses, sessions = [], []
    for wish in wishes:
        who = {"course_id": wish.course_id, "patient_id": wish.patient_id}
        courses.append(held | who | {"request": wish.model_dump(mode="json")})
        where = {"chair": wish.patient_id, "provider": wish.patient_id}
        for number, one in enumerate(wish.sessions or (), start=1):
            when = {"number": number, "starts_at": one.starts_at, "ends_at": one.starts_at + VISIT}
            sessions.append(seated | who | where | when | {"session_id": one.session_id})
    courses_json, sessions_json = (orjson.dumps(rows, default=str).decode() for rows in (courses, sessions))
    async with connection.transaction():
        for sql, value in zip(WRITE, (ids, courses_json, sessions_json, ids, ids), strict=True):
            await connection.execute(sql, value)


async def seconds(work: Callable[[], Awaitable[Any]], times: int = TIMES) -> list[float]:
    """How long it takes, each time."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        found.append(time.perf_counter() - began)
    return found


async def measure(on: Road, hand: asyncpg.Connection) -> Iterator[tuple[str, float, float]]:
    """What, and its median seconds by the road and by hand."""
    crowd = list(residents())
    for first in range(0, HELD, BATCH):
        await on.hear(*crowd[first : first + BATCH])
    assert await on.values("SELECT count(*) FROM sessions WHERE occupies") == [HELD]
    await hand.execute("ANALYZE")
    from_day, until = at(MONDAY, 0), at(MONDAY + 57 * DAY, 0)

    async def plan() -> None:
        await on.hear(_requested(treatment="ketamine_induction", plan=CoursePlan(first_day=MONDAY)))

    async def plan_by_hand() -> None:
        await hand.fetch(READ, from_day, until)
        await write_by_hand(hand, [course([at(MONDAY + n * 3 * DAY, 0) for n in range(6)])])

    async def look() -> None:
        async with on.database.begin() as connection:
            calendar = await occupancy(connection, PLACE, MONDAY, 30)
        assert first_seats(calendar, PLACE, "ketamine_induction", MONDAY, 30, NOW, limit=10_000)

    async def look_by_hand() -> None:
        await hand.fetch(READ, from_day, at(MONDAY + 30 * DAY, 0))

    blocks = iter(range(2 * TIMES))

    async def accept() -> None:
        await on.hear(*newcomers(next(blocks)))

    async def accept_by_hand() -> None:
        await write_by_hand(hand, newcomers(next(blocks)))

    told = [
        ("plan six sessions", median(await seconds(plan)), median(await seconds(plan_by_hand))),
        ("free places of 30 days", median(await seconds(look)), median(await seconds(look_by_hand))),
        (f"accept {BATCH} courses of six", median(await seconds(accept, 5)), median(await seconds(accept_by_hand, 5))),
    ]
    assert await on.values("SELECT DISTINCT state FROM courses") == ["accepted"]
    assert await on.letters() == []
    return iter(told)


async def run(url: str) -> None:
    """Measure, and print the table."""
    async with road(url, booking_rules(PLACES)) as on:
        hand = await asyncpg.connect(url)
        try:
            lines = ["| | booking | its SQL by hand | ratio |", "|---|---|---|---|"]
            for what, own, floor in await measure(on, hand):
                lines.append(f"| {what} | {1000 * own:.1f} ms | {1000 * floor:.1f} ms | {own / floor:.1f} |")
        finally:
            await hand.close()
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """On a PostgreSQL of its own."""
    home = Path(tempfile.mkdtemp(prefix="chairtime-planning-"))
    try:
        with EmbeddedPostgres(home, fsync=False) as admin:
            asyncio.run(run(provision(admin)["booking"]))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
