"""Six hours in which one service is down, while payments and cancellations wait on Kafka, on the stepped clock."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from fastapi import FastAPI

from deploy.operating.publish import Event
from deploy.preparing.profiles import PROFILES
from services.billing import main as billing
from services.billing.settings import BillingSettings
from services.booking import main as booking
from services.booking.settings import BookingSettings
from services.reminders import main as reminders
from services.reminders.sending.sender import ConsoleSender
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import read_settings
from shared.contract.billing import PrepaymentOverdue
from shared.contract.booking import SessionCancelled, SessionReleased
from shared.contract.closed_sets import TextKind
from shared.contract.register import EventData
from shared.contract.reminders import TextSent
from shared.decision.message import Record
from tests.facts.clinic import course_cancel_requested, session_cancel_requested, session_reschedule_requested
from tests.failures.rounds import rounds
from tests.journeys.conftest import CHICAGO, Course, Journey

PRICE: Final = 45000
OUTAGE: Final = timedelta(hours=6)


class Outage:
    """One service stopped as if its machine were off; `end` builds it anew on the database that it has left."""

    def __init__(self, journey: Journey, service: str) -> None:
        self._journey = journey
        self._service = service

    async def begin(self) -> None:
        """From here on the walk goes on without it."""
        embedded = self._journey.embedded
        await embedded.services[self._service].stop()
        assert embedded.walk is not None
        embedded.walk._services = [s for name, s in embedded.services.items() if name != self._service]

    async def end(self) -> None:
        """Start again, and let all come to rest at the present instant."""
        embedded = self._journey.embedded
        embedded.services[self._service] = again = self._build().state.service
        hear = again.kafka.consumer._handle

        async def hear_slowly(records: list[Record]) -> None:
            await asyncio.sleep(1.5)  # a backlog takes its time, and what is due could be faster
            await hear(records)

        again.kafka.consumer._handle = hear_slowly
        await again.start()
        assert embedded.walk is not None
        embedded.walk._services = list(embedded.services.values())
        await self._journey.pass_time(timedelta())

    def _build(self) -> FastAPI:
        journey, clock = self._journey, self._journey.embedded.clock
        common: dict[str, Any] = {
            "kafka": journey.address.kafka,
            "profiles": PROFILES,
            f"{self._service}_database": journey.embedded.urls[self._service],
        }
        match self._service:
            case "booking":
                return booking.build(read_settings(BookingSettings, **common), clock)
            case "billing":
                return billing.build(read_settings(BillingSettings, **common), clock)
            case _:
                sender = ConsoleSender(journey.texts.append)
                return reminders.build(read_settings(RemindersSettings, **common), clock, sender)


def visits(journey: Journey, count: int, starts_in: timedelta, again: timedelta | None = None) -> list[Course]:
    """Courses of a visit, four an hour, from the first opening hour after a while on; perhaps with a second visit."""
    start = (journey.now + starts_in).astimezone(CHICAGO).replace(minute=0, second=0, microsecond=0)
    courses: list[Course] = []
    while len(courses) < count:
        start += timedelta(hours=1)
        if start.weekday() < 5 and 8 <= start.hour < 18:
            courses += [
                Course([start, start + again] if again else [start]) for _ in range(min(4, count - len(courses)))
            ]
    return courses


async def publish_over(journey: Journey, facts: list[EventData], end: datetime, dice: random.Random) -> None:
    """Publish facts at instants of an outage, some twice."""
    begin = journey.now
    for number, fact in enumerate(facts):
        await journey.until(begin + (end - begin) * number / len(facts))
        event = Event(f"{fact.key}-{number}-{begin.isoformat()[:19]}"[-64:], "/tests", journey.now, fact)
        await asyncio.to_thread(journey._system.publish, [event] * dice.choice((1, 1, 2)))
    await journey.until(end)


@pytest.mark.parametrize("seed", rounds(17))
async def test_while_booking_is_down_no_hold_expires_of_which_the_money_came_in_time(
    journey: Journey, seed: int
) -> None:
    dice = random.Random(seed)
    courses = visits(journey, 12, timedelta(days=9))
    await journey.publish(*(course.requested for course in courses))
    dice.shuffle(courses)
    paid, cancelled, unpaid = courses[:5], courses[5:9], courses[9:]
    await journey.pass_time(timedelta(hours=67))
    outage = Outage(journey, "booking")
    await outage.begin()
    facts: list[EventData] = [course.paid(journey.now, PRICE) for course in paid]
    facts += [course_cancel_requested(course.id) for course in cancelled]
    dice.shuffle(facts)
    await publish_over(journey, facts, journey.now + timedelta(hours=4, minutes=50), dice)  # holds end ten minutes on
    await journey.pass_time(OUTAGE - timedelta(hours=4, minutes=50))
    assert not journey.told(SessionReleased)
    await outage.end()
    for course in paid:
        assert await journey.states(course.id) == ["confirmed"], "its money came before the hold's end"
    for course in cancelled:
        assert await journey.states(course.id) == ["cancelled"]
    for course in unpaid:
        assert await journey.states(course.id) == ["released"]
    assert len(journey.told(SessionReleased, reason="hold_expired")) == len(unpaid)
    assert len(journey.told(SessionReleased)) == len(unpaid)
    assert len(journey.told(SessionCancelled)) == len(cancelled)


@pytest.mark.parametrize("seed", rounds(17))
async def test_while_billing_is_down_nothing_falls_overdue_that_is_paid_or_cancelled(
    journey: Journey, seed: int
) -> None:
    dice = random.Random(seed)
    courses = visits(journey, 12, timedelta(days=5), again=timedelta(days=7))
    await journey.publish(*(course.requested for course in courses))
    await journey.publish(*(course.paid(journey.now, PRICE) for course in courses))  # for the first visit
    for course in courses:
        assert await journey.states(course.id) == ["confirmed", "held"]
    first_due = min(course.starts[1] for course in courses) - timedelta(hours=48)
    dice.shuffle(courses)
    paid, cancelled, unpaid = courses[:5], courses[5:9], courses[9:]
    await journey.until(first_due - timedelta(hours=5))
    outage = Outage(journey, "billing")
    await outage.begin()
    facts: list[EventData] = [course.paid(journey.now, PRICE) for course in paid]
    facts += [session_cancel_requested(course=course.id, session_id=course.sessions[1]) for course in cancelled]
    dice.shuffle(facts)
    await publish_over(journey, facts, first_due, dice)
    await journey.until(first_due - timedelta(hours=5) + OUTAGE)
    assert not journey.told(PrepaymentOverdue)
    await outage.end()
    await journey.until(max(course.starts[1] for course in courses) - timedelta(hours=40))
    overdue = [event.course_id for event in journey.told(PrepaymentOverdue)]
    assert sorted(overdue) == sorted(course.id for course in unpaid)
    for group, state in ((paid, "confirmed"), (cancelled, "cancelled"), (unpaid, "released")):
        for course in group:
            assert (await journey.states(course.id))[1] == state


@pytest.mark.parametrize("seed", rounds(17))
async def test_while_reminders_is_down_no_text_goes_out_that_the_backlog_forbids(journey: Journey, seed: int) -> None:
    dice = random.Random(seed)
    courses = visits(journey, 14, timedelta(days=7))
    await journey.publish(*(course.contact(journey.now) for course in courses))
    await journey.publish(*(course.requested for course in courses))
    await journey.publish(*(course.paid(journey.now, PRICE) for course in courses))
    for course in courses:
        assert await journey.states(course.id) == ["confirmed"]
    first = min(course.starts[0] for course in courses)
    dice.shuffle(courses)
    kept, cancelled, moved, silent = courses[:4], courses[4:8], courses[8:11], courses[11:]
    await journey.until(first - timedelta(hours=27))
    before = len(journey.told(TextSent))
    outage = Outage(journey, "reminders")
    await outage.begin()
    facts: list[EventData] = [course_cancel_requested(course.id) for course in cancelled]
    facts += [
        session_reschedule_requested(1, course.starts[0] + timedelta(days=7), course.id, session_id=course.sessions[0])
        for course in moved
    ]
    facts += [course.contact(journey.now + timedelta(hours=1), allowed=False) for course in silent]
    dice.shuffle(facts)
    await publish_over(journey, facts, journey.now + timedelta(hours=2), dice)
    await journey.until(first - timedelta(hours=27) + OUTAGE)
    assert len(journey.told(TextSent)) == before
    await outage.end()
    await journey.until(max(course.starts[0] for course in courses))
    late = journey.told(TextSent)[before:]
    for group, kinds in ((cancelled, [TextKind.CANCELLED]), (moved, [TextKind.MOVED]), (silent, [])):
        for course in group:
            assert [text.kind for text in late if text.course_id == course.id] == kinds
    assert all(len(journey.told(TextSent, course_id=c.id, kind=TextKind.DAY_BEFORE)) == 1 for c in kept)
