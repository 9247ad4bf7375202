"""A database is replaced by an older backup of itself, while the two others and Kafka stand where they stood.

What a clinic publishes is heard again; nobody is texted twice; what came by HTTP and is forgotten waits for a person.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import make_url

from deploy.local.postgres import programs
from tests.facts.clinic import session_cancel_requested, session_reschedule_requested
from tests.failures.checker import check
from tests.failures.processes import REPOSITORY, SERVICES, Processes, processes
from tests.failures.rounds import rounds
from tests.failures.story import PRICE, contact, course, paid, phone
from tests.journeys.conftest import Course

SET_BACK: Final = (SERVICES, ("reminders",), ("billing",), ("booking",))
"""Whose databases are replaced, round after round."""

EX_CONFIG: Final = 78


class Backups:
    """Dumps of the services' databases, as an operator takes and restores them."""

    def __init__(self, running: Processes, admin: str, home: Path) -> None:
        self._running = running
        self._admin = admin
        self._home = home

    async def take(self, *services: str) -> None:
        """Dump databases that are at work, one after the other."""
        for service in services:
            await self._run("pg_dump", "--format=custom", f"--file={self._file(service)}", self._url(service))

    async def restore(self, service: str) -> None:
        """A new database of the same name, filled from the dump."""
        name = make_url(self._url(service)).database
        admin = await asyncpg.connect(self._admin)
        try:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            await admin.execute(f'CREATE DATABASE "{name}"')
        finally:
            await admin.close()
        await self._run("pg_restore", "--exit-on-error", f"--dbname={self._url(service)}", self._file(service))

    def _file(self, service: str) -> str:
        return str(self._home / f"{service}.dump")

    def _url(self, service: str) -> str:
        database = make_url(self._running.urls[service]).database
        return make_url(self._admin).set(database=database).render_as_string(hide_password=False)

    async def _run(self, program: str, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(programs() / program, *arguments, stderr=subprocess.PIPE)
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()


@pytest.fixture
async def running(databases: dict[str, str], kafka: str, home: Path) -> AsyncIterator[Processes]:
    async with processes(databases, kafka, home) as at_work:
        yield at_work


@pytest.fixture
def backups(running: Processes, postgres: str, home: Path) -> Backups:
    return Backups(running, postgres, home)


async def begin(running: Processes, *courses: Course) -> None:
    """Their contacts and requests."""
    await running.publish(*(contact(one) for one in courses))
    await running.publish(*(one.requested for one in courses))


async def recovered(running: Processes, service: str, *until: str) -> str:
    """What the command says that brings a service's database back to the present."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{service}", "restored", *until),
        cwd=REPOSITORY,
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return said.decode()


async def refused(running: Processes, service: str) -> str:
    """The last line of a service that does not start because its database was set back."""
    running.start(service)
    code = await asyncio.to_thread(running.running.pop(service).wait, 60)
    assert code == EX_CONFIG, f"{service} ended with {code}"
    return running.log(service).read_text().splitlines()[-1]


async def confirmed(running: Processes, count: int) -> bool:
    """Whether so many sessions are confirmed, and everybody who listens could know."""
    found = await running.value("booking", "SELECT count(*) FROM sessions WHERE state = 'confirmed'")
    return found == count and not await running.value("booking", "SELECT 1 FROM outbox WHERE published_at IS NULL")


async def group_is_empty(running: Processes, service: str = "reminders") -> bool:
    """Whether a service's group has no member, not even one that was killed a moment ago."""
    admin = AIOKafkaAdminClient(bootstrap_servers=running.kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([service])
        return answer.groups[0][2] == "Empty"
    finally:
        await admin.close()


def nobody_is_texted_twice(running: Processes, courses: Sequence[Course]) -> None:
    for one in courses:
        shown = Counter(form["Body"] for form in running.twilio.taken if form["To"] == phone(one))
        assert max(shown.values(), default=0) <= 1, "the same text twice"


@pytest.mark.timeout(360)
@pytest.mark.parametrize("seed", rounds(10))
async def test_what_a_backup_has_forgotten_comes_back_and_nobody_is_texted_twice(
    running: Processes, backups: Backups, seed: int
) -> None:
    services = SET_BACK[(seed - 1) % len(SET_BACK)]
    before, between, after = [course(n) for n in range(2)], [course(n) for n in range(2, 4)], [course(4), course(5)]
    courses = [*before, *between, *after]
    await begin(running, *before, *between)
    await running.publish(*(paid(one) for one in before))
    await running.rest()
    await backups.take(*SERVICES)
    await begin(running, *after)
    await running.publish(*(paid(one) for one in (*between, *after)))
    await running.rest()
    moved, cancelled = before
    await running.publish(
        session_reschedule_requested(1, moved.starts[1] + timedelta(days=7), moved.id, session_id=moved.sessions[1]),
        session_cancel_requested(course=cancelled.id, session_id=cancelled.sessions[1]),
    )
    await running.rest()
    await running.end(*SERVICES)
    lost_at = datetime.now(UTC).isoformat()
    for service in services:
        await backups.restore(service)
    for service in services:
        assert f"the database of {service} was set back" in await refused(running, service)
    for service in services:
        await recovered(running, service, lost_at)
    for service in SERVICES:
        running.start(service)
    await running.ready(*SERVICES)
    await running.rest()
    nobody_is_texted_twice(running, courses)
    for service in SERVICES:
        assert not await running.rows(service, "SELECT kind, subject, detail FROM attention")
        assert await running.value(service, "SELECT count(*) FROM dead_letters") == 0
    confirmed = "SELECT count(*) FROM sessions WHERE state = 'confirmed'"
    assert await running.value("booking", confirmed) == await running.value("reminders", confirmed) == 11
    assert await running.value("billing", "SELECT sum(amount_cents) FROM payments") == 12 * PRICE
    await running.check()


@pytest.mark.timeout(360)
@pytest.mark.parametrize("seed", rounds(10))
async def test_a_text_that_may_have_gone_out_is_not_sent_again_and_an_opt_out_stays_one(
    running: Processes, backups: Backups, seed: int
) -> None:
    lost, silent = course(0), course(1)
    await begin(running, silent)
    await running.rest()
    await backups.take("reminders")
    body = {"allowed": False, "wording": "said so at the desk", "recorded_at": datetime.now(UTC).isoformat()}
    status, _ = await running.call("reminders", "POST", f"/v1/contacts/{silent.patient_id}/consent", body)
    assert status == 200
    await running.rest()
    await running.end("reminders")
    running.start("reminders", CRASH_AT="dispatch.sent")
    await running.ready("reminders")
    await begin(running, lost)
    await asyncio.to_thread(running.running["reminders"].wait, 60)
    assert len([form for form in running.twilio.taken if form["To"] == phone(lost)]) == 1
    await backups.restore("reminders")
    await refused(running, "reminders")
    await running.until(lambda: group_is_empty(running), "the killed one has left its group")
    lost_at = datetime.now(UTC)
    await running.publish(paid(silent))
    await running.until(lambda: confirmed(running, 2), "booking has confirmed all")
    assert "1 texts settled as restored" in await recovered(running, "reminders", lost_at.isoformat())
    running.start("reminders")
    await running.ready("reminders")
    await running.rest()
    nobody_is_texted_twice(running, [lost, silent])
    assert len([form for form in running.twilio.taken if form["To"] == phone(lost)]) == 1
    (waits,) = await running.rows("reminders", "SELECT kind, subject FROM attention")
    text = await running.value("reminders", "SELECT text_id FROM texts WHERE reason = 'restored'")
    assert (waits.kind, waits.subject) == ("text_restored", str(text))
    booked = "SELECT reason FROM texts WHERE kind = 'booked' AND contact_id = :id"
    assert await running.value("reminders", booked, id=silent.patient_id) == "opted_out"


@pytest.mark.timeout(360)
@pytest.mark.parametrize("seed", rounds(10))
async def test_what_came_by_http_and_is_forgotten_waits_for_a_person_who_asks_for_it_again(
    running: Processes, backups: Backups, seed: int
) -> None:
    one = course(0)
    await begin(running, one)
    await running.rest()
    await backups.take("billing")
    money = orjson.loads(paid(one).model_dump_json())
    assert (await running.call("billing", "POST", "/v1/payments", money))[0] == 201
    await running.rest()
    assert await running.value("booking", "SELECT count(*) FROM sessions WHERE state = 'confirmed'") == 2
    await running.end("billing")
    await backups.restore("billing")
    await refused(running, "billing")
    await recovered(running, "billing")
    running.start("billing")
    await running.ready("billing")
    await running.rest()
    _, waits = await running.call("billing", "GET", "/ops/attention")
    (forgotten,) = [row for row in waits if row["kind"] == "forgotten"]
    assert forgotten["subject"] == str(one.id)
    assert f"billing.payment.recorded.v1 {money['payment_id']}" in forgotten["detail"]
    assert (await running.call("billing", "POST", "/v1/payments", money))[0] == 201
    await running.rest()
    shares = await running.rows("billing", "SELECT state, basis, granted, answered, prepaid_cents FROM shares")
    assert [tuple(share) for share in shares] == [("confirmed", "paid", 1, 1, PRICE)] * 2
    await running.publish(session_cancel_requested(course=one.id, session_id=one.sessions[0], by="clinic"))
    await running.rest()
    assert await running.value("billing", "SELECT sum(amount_cents) FROM refunds") == PRICE
    violations = await check(running.urls, running.kafka, patience=5)
    assert violations == sorted(f"I7 session {id}: billing's grants are [1, 1]" for id in one.sessions), "told twice"
