"""Processes, brokers and databases that die at any moment under load: everything is done in the end, and done once.

CHAIRTIME_KILLS says how many random kills there are in a round (50); how many rounds there are, see `rounds`.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from deploy.local.kafka.node import KafkaNode
from deploy.local.postgres import EmbeddedPostgres
from deploy.operating.kafka_account import KafkaTrouble
from deploy.operating.publish import Event
from deploy.preparing.databases import provision
from shared.tables.outbox import LOCK
from tests.benchmarks.servers import postmaster
from tests.failures.processes import SERVICES, Processes, event, processes
from tests.failures.rounds import rounds
from tests.failures.story import contact, course, paid, phone
from tests.journeys.conftest import Course

KILLS: Final = int(os.environ.get("CHAIRTIME_KILLS", "50"))
IN_HAND: Final = 4
"""Courses published together."""


class Load:
    """Courses that come as long as the load lasts, each with its contact, its request and its money."""

    def __init__(self, running: Processes) -> None:
        self.courses: list[Course] = []
        self._running = running
        self._goes_on = True
        self._task = running.beside(self._publish())

    async def _publish(self) -> None:
        while self._goes_on:
            together = [course(len(self.courses) + n) for n in range(IN_HAND)]
            self.courses += together
            await self._send([event(fact) for c in together for fact in (contact(c), c.requested)])
            await self._send([event(paid(c)) for c in together] * random.choice((1, 2)))
            await asyncio.sleep(0.2)

    async def _send(self, events: list[Event]) -> None:
        """Publish as a client does that does not give up: the same again, until Kafka has it."""
        while True:
            try:
                return await self._running.publish(*events)
            except KafkaTrouble:
                continue

    async def end(self) -> list[Course]:
        """No more come."""
        self._goes_on = False
        await self._task
        return self.courses


@asynccontextmanager
async def supervised(running: Processes) -> AsyncIterator[None]:
    """Whoever ends is started again, as a supervisor does; an end that no fault explains is a failure."""

    async def watch() -> None:
        while True:
            for name in list(running.running):
                if running.died(name):
                    running.start(name.partition("-")[0], name)
            await asyncio.sleep(0.1)

    running.excused |= {os.EX_UNAVAILABLE, os.EX_SOFTWARE}
    task = asyncio.create_task(watch())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def all_is_done_once(running: Processes, courses: Sequence[Course]) -> None:
    """Every course is confirmed and paid once, nobody got the same text twice, and every promise is kept."""
    await running.rest(90)
    ids = [course.id for course in courses]
    for sql, service in (
        ("SELECT count(*) FROM sessions WHERE course_id = ANY(:ids) AND state = 'confirmed'", "booking"),
        ("SELECT count(*) FROM shares WHERE course_id = ANY(:ids) AND answered = granted AND granted = 1", "billing"),
        ("SELECT count(*) FROM sessions WHERE course_id = ANY(:ids) AND state = 'confirmed'", "reminders"),
    ):
        assert await running.value(service, sql, ids=ids) == 2 * len(courses)
    captured = "SELECT count(*) FROM entries WHERE course_id = ANY(:ids) AND kind = 'captured'"
    assert await running.value("billing", captured, ids=ids) == len(courses)
    for one in courses:
        shown = [form["Body"] for form in running.twilio.taken if form["To"] == phone(one)]
        assert len(set(shown)) == len(shown), "the same text twice"
    for service in SERVICES:
        assert await running.value(service, "SELECT count(*) FROM dead_letters") == 0
    await running.check()


@pytest.mark.timeout(180 + 3 * KILLS)
@pytest.mark.parametrize("seed", rounds(20))
async def test_kill_9_at_random_moments_under_load(
    kafka: str, databases: dict[str, str], home: Path, seed: int
) -> None:
    dice = random.Random(seed)
    async with processes(databases, kafka, home) as running:
        load = Load(running)
        async with supervised(running):
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.1, 1.5))
                running.kill(dice.choice(SERVICES))
            courses = await load.end()
            await running.ready(*SERVICES)
            await all_is_done_once(running, courses)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", rounds(30))
async def test_kafka_and_postgresql_crash_under_load_and_come_back(home: Path, seed: int) -> None:
    dice = random.Random(seed)
    node, postgres = KafkaNode(home / "kafka"), EmbeddedPostgres(home / "pg")
    address, admin = await asyncio.gather(asyncio.to_thread(node.start), asyncio.to_thread(postgres.start))
    try:
        urls = await asyncio.to_thread(provision, admin)
        async with processes(urls, address, home) as running, supervised(running):
            load = Load(running)
            for fault, die in (
                (postgres, postgres.kill),
                (node, node.kill),
                (postgres, partial(abort, postgres)),
            ):
                await asyncio.sleep(dice.uniform(0.5, 1.5))
                die()
                assert (await running.call("booking", "GET", "/health/live"))[0] == 200
                status, reason = await running.call("booking", "GET", "/health/ready")
                assert (status, reason.startswith("not ready: ")) == (503, True)
                if fault is postgres:
                    status, problem = await running.call("booking", "GET", f"/v1/courses/{load.courses[0].id}")
                    assert (status, problem["title"]) == (503, "unavailable")
                await asyncio.to_thread(fault.start)
            for _ in range(5):
                await asyncio.sleep(dice.uniform(0.1, 0.5))
                await running.until(lambda: cut(running), "sessions are cut")
            await all_is_done_once(running, await load.end())
    finally:
        node.stop()
        postgres.stop()


@pytest.mark.timeout(120)
async def test_a_service_ends_though_kafka_is_gone_for_good(databases: dict[str, str], home: Path) -> None:
    node = KafkaNode(home / "kafka")
    try:
        address = await asyncio.to_thread(node.start)
        async with processes(databases, address, home) as running:
            await running.publish(event(course(1).requested))
            await running.until(lambda: running.value("booking", PUBLISHED), "booking has told something")
            node.kill()
            await running.rows("booking", WAITING, id=str(uuid4()))  # which the relay takes in hand, and no broker
            said = running.log("booking").read_text
            await running.until(partial(_says, said, "aiokafka.producer.sender"), "booking tries to publish")
            await running.end(*SERVICES)
            assert "published at the next start" in said()
            assert await running.value("booking", "SELECT count(*) FROM outbox WHERE published_at IS NULL") == 1
    finally:
        node.stop()


PUBLISHED: Final = "SELECT count(*) > 0 FROM outbox WHERE published_at IS NOT NULL"
WAITING: Final = """INSERT INTO outbox (event_id, topic, key, value, headers, created_at)
                    VALUES (:id, 'booking.events', '', '{}', '[]', now()) RETURNING id"""


async def _says(said: Callable[[], str], what: str) -> bool:
    return what in said()


def abort(postgres: EmbeddedPostgres) -> None:
    """As `pg_ctl -m immediate`: every process of the server aborts, and the next start recovers."""
    os.kill(postmaster(postgres), signal.SIGQUIT)
    while postgres.running:
        time.sleep(0.01)
    postgres.kill()  # it has ended already: this forgets it


async def cut(running: Processes) -> bool:
    """End every session of the services, in the middle of whatever they do."""
    for service in SERVICES:
        await running.rows(
            service,
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()""",
        )
    return True


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", rounds(17))
async def test_a_relay_that_slept_while_another_took_its_lock_loses_nothing(
    kafka: str, databases: dict[str, str], home: Path, seed: int
) -> None:
    dice = random.Random(seed)
    async with processes(databases, kafka, home) as running:
        running.start("booking", "booking-2")
        await running.ready("booking-2")
        load = Load(running)
        asleep, awake = "booking", "booking-2"  # the first to start has the lock
        for _ in range(3):
            await asyncio.sleep(dice.uniform(0.2, 0.6))
            running.running[asleep].send_signal(signal.SIGSTOP)
            holder = await running.value("booking", HOLDER)
            assert holder is not None
            await running.rows("booking", "SELECT pg_terminate_backend(:pid)", pid=holder)
            await running.until(lambda h=holder: taken_over(running, h), f"{awake} has the lock")
            await asyncio.sleep(0.4)
            running.running[asleep].send_signal(signal.SIGCONT)
            asleep, awake = awake, asleep
        await all_is_done_once(running, await load.end())


HOLDER: Final = f"""SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid, objid) = (0, {LOCK})
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


async def taken_over(running: Processes, former: int) -> bool:
    """Whether another session has the relay's lock."""
    return await running.value("booking", HOLDER) not in (None, former)
