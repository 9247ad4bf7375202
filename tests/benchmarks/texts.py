"""Texts: how fast ladders are scheduled and due texts fired, and how late a text goes out.

    python -m tests.benchmarks.texts

The contenders take turns on copies of one database with courses whose patients have agreed: Chairtime; the same by hand
the same tables (`floor/texts.py` says what these are); APScheduler's job store, with jobs that do nothing and with
jobs that write the same facts down. All have a sender that does nothing. The crowded database has a million
texts of other courses. Lateness is that of the whole service on a real Kafka, the fence before each send included.
"""

import argparse
import asyncio
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import uvloop
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from deploy.local.kafka.node import KafkaNode
from deploy.local.postgres import EmbeddedPostgres
from deploy.preparing.databases import provision
from services.reminders.main import build, rules_of
from services.reminders.profile import read_places
from services.reminders.sending.dispatch import Dispatch
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.settings import RemindersSettings
from services.reminders.text.provider import Accepted, Outcome, OutgoingText
from shared.configuration.settings import read_settings
from shared.decision.clock import WallClock
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.topics import create_topics
from shared.postgres.pool import Database
from shared.worker.alarm import Alarm
from shared.worker.worker import Worker
from tests.benchmarks.floor import texts as floor
from tests.benchmarks.people import NOW, START, accepted, confirmed, contact, records
from tests.benchmarks.servers import REPOSITORY, cpu_seconds_below, fresh_databases, postmaster
from tests.benchmarks.usual import texts as usual

PROFILES: Final = REPOSITORY / "deploy" / "clinics"
PLACES: Final = read_places(PROFILES, None)
BATCH: Final = 500

Schedule = Callable[[str, Sequence[Record]], Coroutine[Any, Any, None]]
Fire = Callable[[str, int], Coroutine[Any, Any, None]]

DUE: Final = (
    "DELETE FROM texts WHERE kind = 'booked'",
    """UPDATE texts SET nominal_at = at, due_at = at, look_at = at, deadline_at = at + interval '1 day'
       FROM (SELECT text_id, TIMESTAMPTZ '{0}' + row_number() OVER (ORDER BY text_id) * interval '{1} s' AS at
             FROM texts JOIN sessions USING (session_id)
             WHERE kind = 'preparation' AND contact_id LIKE 'patient-%' AND starts_at < TIMESTAMPTZ '{2}') AS due
       WHERE texts.text_id = due.text_id""",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)
"""Of each course one text is due, the first at an instant, the others so many seconds after one another."""

OTHERS: Final = (
    """INSERT INTO courses (course_id, patient_id, location, treatment)
       SELECT md5('course ' || n)::uuid, 'other-' || n, 'stella', 'tms' FROM generate_series(1, {0} / 18) AS n""",
    """INSERT INTO sessions
       SELECT md5('session ' || n || k)::uuid, md5('course ' || n)::uuid, 2, 'confirmed',
              now() + (30 + 3 * k + n % 300) * interval '1 day'
       FROM generate_series(1, {0} / 18) AS n, generate_series(1, 6) AS k""",
    """INSERT INTO texts (text_id, course_id, contact_id, kind, session_id, session_version, state,
                          nominal_at, due_at, look_at, deadline_at)
       SELECT md5('text ' || session_id || kind)::uuid, course_id, patient_id, kind, session_id, 2, 'scheduled',
              starts_at - before, starts_at - before, starts_at - before, starts_at
       FROM sessions JOIN courses USING (course_id),
            (VALUES ('preparation', interval '3 days'), ('day_before', interval '1 day'), ('day_of', interval '2 h'))
            AS l (kind, before)
       WHERE treatment = 'tms'""",
    "VACUUM ANALYZE",
)


class NoSender:
    """Takes every text, and writes down when it came."""

    traceable = False

    def __init__(self) -> None:
        self.came: dict[UUID, datetime] = {}

    async def send(self, text: OutgoingText) -> Outcome:
        self.came[text.text_id] = datetime.now(UTC)
        return Accepted(f"SM{text.attempt_id.hex}")

    async def find(self, _: object) -> Sequence[Any]:
        return ()

    async def close(self) -> None:
        pass


class Heard:
    """Everything has been heard."""

    async def passed(self) -> datetime:
        return datetime.now(UTC)


async def hear(url: str, heard: Sequence[Record]) -> None:
    """Take records through reminders in batches."""
    database = Database(url)
    worker = Worker(rules_of(PLACES), database, WallClock(), lambda **_: None)
    try:
        for first in range(0, len(heard), BATCH):
            await worker.on_records(heard[first : first + BATCH])
    finally:
        await database.close()


async def fire(url: str, due: int) -> None:
    """Send all that is due, until everything is on record."""
    database, clock, sender = Database(url), WallClock(), NoSender()
    alarm = Alarm(AsyncIOScheduler(timezone="UTC"), clock, str(uuid4()))
    writer = OutcomeWriter(database, clock, lambda: None, sender.traceable)
    fence: Any = Heard()
    dispatch = Dispatch(database, fence, clock, alarm, lambda: None, sender, writer, PLACES, {})
    running = asyncio.create_task(dispatch.run())
    while len(sender.came) < due:  # noqa: ASYNC110 - nothing rings then
        await asyncio.sleep(0.002)
    running.cancel()
    await asyncio.wait([running])  # when all outcomes are on record
    await database.close()


async def lateness(url: str, kafka: str, a_second: int, seconds: int) -> list[float]:
    """How late, in seconds, each of many texts reaches the sender of the whole service."""
    await create_topics(Cluster(kafka))
    settings = read_settings(RemindersSettings, kafka=kafka, reminders_database=url, profiles=PROFILES)
    sender = NoSender()
    service = build(settings, WallClock(), sender).state.service
    await service.start()
    try:
        first = datetime.now(UTC) + timedelta(seconds=3)
        await make_due(url, first, 1 / a_second)
        await asyncio.sleep(seconds + 5)
    finally:
        await service.stop()
    connection = await asyncpg.connect(url)
    try:
        due = dict(await connection.fetch("SELECT text_id, due_at FROM texts WHERE state = 'sent'"))
    finally:
        await connection.close()
    assert len(due) == len(sender.came) >= a_second * seconds, f"{len(due)} of {a_second * seconds} texts went out"
    return sorted((at - due[id]).total_seconds() for id, at in sender.came.items())


async def by_hand(url: str, work: Callable[..., Awaitable[None]], hands: int = 1) -> None:
    """With so many connections."""
    connections = [await asyncpg.connect(url, server_settings={"jit": "off"}) for _ in range(hands)]
    try:
        await work(connections)
    finally:
        for connection in connections:
            await connection.close()


async def schedule_by_hand(url: str, heard: Sequence[Record]) -> None:
    """The ladders of confirmed sessions."""
    await by_hand(url, lambda connections: floor.schedule(connections[0], heard, NOW))


async def fire_by_hand(url: str, _: int) -> None:
    """All that is due."""

    async def send(attempt: UUID, *_: str) -> str:
        return f"SM{attempt.hex}"

    await by_hand(url, lambda connections: floor.fire(connections, datetime.now(UTC), send), hands=2)


async def execute(url: str, *statements: str) -> None:
    """As the administrator of the database."""
    connection = await asyncpg.connect(owner(url), timeout=600)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=600)
    finally:
        await connection.close()


def owner(url: str) -> str:
    """The same database as its administrator sees it, who may make tables."""
    return url.replace("//reminders@", "//postgres@")


async def make_due(url: str, first: datetime, apart: float) -> None:
    """One text of each course is due, so many seconds after one another."""
    first_sessions = START + timedelta(days=4)
    await execute(url, *(sql.format(first.isoformat(), apart, first_sessions.isoformat()) for sql in DUE))


async def ids(url: str, where: str) -> list[Any]:
    """The ids of texts."""
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(f"SELECT text_id::text FROM texts WHERE {where}")]
    finally:
        await connection.close()


class Rate(NamedTuple):
    """Texts a second, and the CPU of a text in milliseconds, ours and PostgreSQL's."""

    a_second: float
    cpu_ms: float


class Bench:
    """One run: its two databases, and what each contender has reached so far."""

    def __init__(self, postgres: EmbeddedPostgres, courses: int, crowd: int) -> None:
        self._postgres = postgres
        self._courses = courses
        self.rates: dict[tuple[str, str], list[Rate]] = {}
        self._confirmed = records([event for n in range(1, courses + 1) for event in confirmed(n)])
        people = records([event for n in range(1, courses + 1) for event in (contact(n), accepted(n))])
        self.empty, self.crowded = (
            provision(postgres.url, suffix=name)["reminders"] for name in ("_empty", "_crowded")
        )
        for url in (self.empty, self.crowded):
            uvloop.run(hear(url, people))
        uvloop.run(execute(self.crowded, *(statement.format(crowd) for statement in OTHERS)))

    def trial(self, name: str, template: str, schedule: Schedule, fire_due: Fire) -> None:
        """Ladders of all courses, and then one text of each course that is due."""
        with fresh_databases(self._postgres.url, {"reminders": template}) as databases:
            url = databases["reminders"]
            with self._count(name, "scheduled", self._courses * 6 * 3):
                uvloop.run(schedule(url, self._confirmed))
            uvloop.run(make_due(url, NOW, 0))
            with self._count(name, "fired", self._courses):
                uvloop.run(fire_due(url, self._courses))
            sent = len(uvloop.run(ids(url, "state = 'sent'")))
            assert sent == self._courses, f"{name}: {sent} of {self._courses} texts went out"

    def jobs(self, name: str, job: str, template: str) -> None:
        """The same with one job a text."""
        with fresh_databases(self._postgres.url, {"reminders": template}) as databases:
            url = databases["reminders"]
            uvloop.run(schedule_by_hand(url, self._confirmed))
            uvloop.run(make_due(url, NOW, 0))
            due = [(id, NOW) for id in uvloop.run(ids(url, f"look_at <= '{NOW.isoformat()}'"))]
            with usual.scheduler(owner(url)) as jobs:
                with self._count(name, "scheduled", len(due)):
                    usual.schedule(jobs, job, due)
                with self._count(name, "fired", len(due)):
                    usual.fire(jobs, owner(url), len(due))

    def late(self, kafka: str, a_second: int, seconds: int) -> list[float]:
        """The lateness of each text, in seconds."""
        with fresh_databases(self._postgres.url, {"reminders": self.empty}) as databases:
            uvloop.run(schedule_by_hand(databases["reminders"], self._confirmed[: 6 * a_second * seconds]))
            return uvloop.run(lateness(databases["reminders"], kafka, a_second, seconds))

    @contextmanager
    def _count(self, name: str, what: str, texts: int) -> Iterator[None]:
        cpu, began = self._cpu(), time.perf_counter()
        yield
        rate = Rate(texts / (time.perf_counter() - began), 1000 * (self._cpu() - cpu) / texts)
        self.rates.setdefault((name, what), []).append(rate)
        sys.stderr.write(f"{name}: {rate.a_second:.0f} texts a second {what}, {rate.cpu_ms:.3f} ms of CPU each\n")

    def _cpu(self) -> float:
        return time.process_time() + cpu_seconds_below(postmaster(self._postgres))


def main() -> None:
    """Run all contenders in turns, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.texts", description=__doc__)
    parser.add_argument("--courses", type=int, default=2000, help="of one trial (default: %(default)s)")
    parser.add_argument("--crowd", type=int, default=1_000_000, help="texts of others (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts (default: %(default)s)")
    parser.add_argument("--only", choices=("rates", "lateness"), help="one half of it")
    wanted = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as all our processes have it
    home = Path(tempfile.mkdtemp(prefix="chairtime-texts-"))
    try:
        postgres = EmbeddedPostgres(home / "postgres")
        with postgres:
            bench = Bench(postgres, wanted.courses, wanted.crowd)
            for _ in range(wanted.rounds if wanted.only != "lateness" else 0):
                bench.trial("by hand", bench.empty, schedule_by_hand, fire_by_hand)
                bench.trial("Chairtime", bench.empty, hear, fire)
                bench.trial("by hand, crowded", bench.crowded, schedule_by_hand, fire_by_hand)
                bench.trial("Chairtime, crowded", bench.crowded, hear, fire)
                bench.jobs("APScheduler, jobs that do nothing", "nothing", bench.empty)
                bench.jobs("APScheduler, jobs that send", "remind", bench.empty)
            late: list[float] = []
            if wanted.only != "rates":
                with KafkaNode(home / "kafka") as kafka:
                    late = bench.late(kafka, 200, wanted.courses // 200)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    report(bench.rates, late)


def report(rates: Mapping[tuple[str, str], Sequence[Rate]], late: Sequence[float]) -> None:
    """Print the best of what came of it."""
    lines = ["| | scheduled a second | CPU a text | fired a second | CPU a text |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(name for name, _ in rates):
        found = (rates[name, what] for what in ("scheduled", "fired"))
        told = (f"{max(r.a_second for r in of):,.0f} | {min(r.cpu_ms for r in of):.3f} ms" for of in found)
        lines.append(f"| {name} | {' | '.join(told)} |")
    if rates:
        sys.stdout.write("\n".join(lines) + "\n")
    if late:
        p50, p99 = (1000 * late[int(len(late) * part)] for part in (0.5, 0.99))
        sys.stdout.write(f"lateness: p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {1000 * late[-1]:.1f} ms\n")


if __name__ == "__main__":
    main()
