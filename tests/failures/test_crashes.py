"""kill -9 at every step of the road, in every service: one effect each, nothing lost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from deploy.operating.publish import Event
from shared.instruments.crash import STEPS
from tests.facts.billing import prepayment_required
from tests.failures.processes import LAPSE, SERVICES, Processes, processes
from tests.failures.rounds import rounds
from tests.failures.story import contact, course, effects, paid, phone, state
from tests.journeys.conftest import Course

DISPATCH: Final = "dispatch."


class Supervisor:
    """Starts a service again whenever it was killed, armed with its next step, until each step has had its crash."""

    def __init__(self, running: Processes) -> None:
        self.running = running
        self.crashed: list[tuple[str, str]] = []
        self.ahead = {
            service: [step for step in STEPS if service == "reminders" or not step.startswith(DISPATCH)]
            for service in SERVICES
        }

    async def arm(self) -> None:
        """Start every service anew, each on the way to its first crash."""
        await self.running.end(*SERVICES)
        for service in SERVICES:
            self.running.start(service, CRASH_AT=self.ahead[service][0])

    def look(self) -> None:
        """Start again whoever has crashed."""
        for service in SERVICES:
            if self.running.died(service):
                self.crashed.append((service, self.ahead[service].pop(0)))
                armed = {"CRASH_AT": self.ahead[service][0]} if self.ahead[service] else {}
                self.running.start(service, **armed)

    async def until(self, service: str, sql: str, id: object) -> None:
        """Wait until a question has an answer, while services crash."""

        async def look() -> Any:
            self.look()
            return await self.running.value(service, sql, id=id)

        await self.running.until(look, f"{service}: {sql} {id}", 90)


async def play(supervisor: Supervisor, number: int) -> tuple[Course, Course]:
    """A course that is paid and one whose hold expires; beside them a deadline of billing and one of reminders."""
    running = supervisor.running
    bought, left, unbooked, untold = course(2 * number), course(2 * number + 1), course(0), uuid4()
    await running.publish(contact(bought))
    await supervisor.until("reminders", "SELECT 1 FROM contacts WHERE contact_id = :id", bought.patient_id)
    await running.publish(bought.requested, left.requested, paid(unbooked), demand(untold))
    for owing in (bought, left):
        await supervisor.until("reminders", f"{OF_COURSE.format('courses')} AND cardinality(owed) = 2", owing.id)
    await expire(supervisor, "booking", str(left.id), "hold")
    await expire(supervisor, "billing", str(unbooked.id), "course")
    await expire(supervisor, "reminders", f"course:{untold}", "unknown_course")
    await text_settled(supervisor, "payment_due", bought.id)
    await running.publish(paid(bought))
    for owing, wanted in ((bought, "confirmed"), (left, "released")):
        for service, table in (("booking", "sessions"), ("billing", "shares"), ("reminders", "sessions")):
            both = f"{OF_COURSE.format(table)} AND state = '{wanted}' HAVING count(*) = 2"
            await supervisor.until(service, both, owing.id)
    await text_settled(supervisor, "booked", bought.id)
    return bought, left


OF_COURSE: Final = "SELECT 1 FROM {} WHERE course_id = :id"


def demand(course_id: UUID) -> Event:
    """Billing asks money for a course of which booking has told nobody."""
    now = datetime.now(UTC)
    asked = prepayment_required(course=course_id, session_id=uuid4(), patient_id="nobody", amount_cents=1, due_at=now)
    return Event(str(uuid4()), "/tests", now, asked)


async def expire(supervisor: Supervisor, service: str, aggregate: str, kind: str) -> None:
    """Wait for a deadline to be set, make it now, and wait until it is over."""
    is_set = f"SELECT 1 FROM timers WHERE aggregate = :id AND kind = '{kind}'"
    await supervisor.until(service, is_set, aggregate)
    make_due = f"UPDATE timers SET due_at = now() WHERE aggregate = :id AND kind = '{kind}' RETURNING 1"
    await supervisor.running.rows(service, make_due, id=aggregate)
    await supervisor.until(service, f"SELECT 1 WHERE NOT EXISTS ({is_set})", aggregate)


async def text_settled(supervisor: Supervisor, kind: str, course_id: UUID) -> None:
    """Wait until a text went out, or to a person; the lease of a sender that died runs out now, not in five minutes."""
    settled = f"{OF_COURSE.format('texts')} AND kind = '{kind}' AND state IN ('sent', 'unknown')"

    async def look() -> Any:
        supervisor.look()
        if any(step.startswith(DISPATCH) for _, step in supervisor.crashed):
            await supervisor.running.rows("reminders", LAPSE)
        return await supervisor.running.value("reminders", settled, id=course_id)

    await supervisor.running.until(look, f"{kind} went out or to a person", 90)


@pytest.mark.timeout(420)
@pytest.mark.parametrize("_round", rounds(9))
async def test_a_crash_at_any_step_of_any_service_loses_nothing_and_repeats_nothing(
    kafka: str, databases: dict[str, str], home: Path, _round: int
) -> None:
    async with processes(databases, kafka, home, alone=True) as running:
        supervisor = Supervisor(running)
        played = [await play(supervisor, 1)]
        await running.rest()
        undisturbed = [(await effects(running, one.id), await state(running, one.id)) for one in played[0]]
        await supervisor.arm()
        while any(supervisor.ahead.values()):
            assert len(played) < 25, f"nobody came to {supervisor.ahead}"
            played.append(await play(supervisor, len(played) + 1))
        await running.rest()

        for courses in played:
            for one, (told, held) in zip(courses, undisturbed, strict=True):
                assert await effects(running, one.id) == told
                assert await state(running, one.id) == held
            became = [
                row.state
                for row in await running.rows(
                    "reminders",
                    "SELECT state FROM texts WHERE course_id = :id AND attempts > 0",
                    id=courses[0].id,
                )
            ]
            shown = [form["Body"] for form in running.twilio.taken if form["To"] == phone(courses[0])]
            assert len(set(shown)) == len(shown), "the same text twice"
            assert became.count("sent") <= len(shown) <= len(became) == 2
        lost = await running.rows("reminders", "SELECT search_at FROM texts WHERE state = 'unknown'")
        assert 1 <= len(lost) <= 2, "those whose sender died between its attempt and the outcome"
        assert all(row.search_at is not None for row in lost), "they are looked for in the provider's list"
        await running.check()
