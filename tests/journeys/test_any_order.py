"""Booking's and billing's own rules wired to each other: in whatever order they hear things, the end is the same."""

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any, Final

import pytest

from deploy.preparing import heard
from services.billing.profile import read_places
from shared.contract.billing import PrepaymentSatisfied, RefundDue
from shared.contract.clinic import PaymentCaptured
from shared.contract.closed_sets import SessionState
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from tests.facts.clinic import (
    course_requested,
    patient_checked_in,
    payment_captured,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, start
from tests.stand_ins import billing_story, booking_story
from tests.stand_ins.booking_places import PLACES, room
from tests.stand_ins.clinics import CLINICS

S = SessionState
ALBANY: Final = PLACES["albany"]
BILLED: Final = read_places(CLINICS, None)
PRICE: Final = 45000
"""Of a session of this treatment in Albany, in cents."""

HEARS: Final = {service: heard.HEARS[service] for service in ("booking", "billing")}


class World:
    """Two services and a Kafka between them, which hands over what it has when it is asked to."""

    def __init__(self, now: datetime = NOW, chairs: int = 4) -> None:
        self.now = now
        self.booking = booking_story.Story(room(chairs, place=ALBANY), now)
        self.billing = billing_story.Story()
        self.billing.places = BILLED
        self.captured_cents = 0
        self._waiting: dict[tuple[str, str], deque[tuple[datetime, EventData]]] = {
            (service, topic): deque() for service, topics in HEARS.items() for topic in topics
        }

    def publish(self, *events: EventData) -> None:
        """Put events on their topics. Of the other course billing knows nothing: nobody pays for it."""
        for event in events:
            for (service, topic), queue in self._waiting.items():
                if event.type in HEARS[service][topic] and (service == "booking" or event.key == str(COURSE)):
                    queue.append((self.now, event))

    def pay(self, cents: int) -> None:
        """The till takes money."""
        self.captured_cents += cents
        self.publish(payment_captured(cents, f"pay-{self.captured_cents}", self.now))

    @property
    def on_the_way(self) -> list[tuple[str, str]]:
        """Who has something to hear, and on which topic."""
        return [place for place, queue in self._waiting.items() if queue]

    def hand_over(self, place: tuple[str, str]) -> None:
        """A service hears the next of a topic."""
        arrived_at, event = self._waiting[place].popleft()
        service, _ = place
        self.publish(*(self.booking.tell if service == "booking" else self.billing.hear)(event, arrived_at))

    def fire(self, service: str) -> bool:
        """Deliver a service's earliest deadline, if it has passed and all is heard that came before."""
        if any(hearer == service for hearer, _ in self.on_the_way):
            return False
        timers: dict[Any, datetime] = getattr(self, service).timers
        due_at, name = min(((due_at, name) for name, due_at in timers.items()), default=(None, None))
        if due_at is None or due_at > self.now:
            return False
        del timers[name]
        course, kind, subject = name if service == "booking" else (str(COURSE), *name)
        timer = TimerDue(of=course, kind=kind, subject=subject, due_at=due_at)
        self.publish(*(self.booking.tell if service == "booking" else self.billing.hear)(timer, self.now))
        return True

    def settle(self, choose: Callable[[Sequence[Any]], Any] = min) -> None:
        """Until nothing is on its way or due."""
        while True:
            if places := self.on_the_way:
                self.hand_over(choose(places))
            elif not any([self.fire(service) for service in HEARS]):
                return

    def pass_time(self, until: datetime) -> None:
        """Through every deadline on the way, in order."""
        while dues := [d for s in (self.booking, self.billing) for d in s.timers.values() if d <= until]:
            self.now = max(self.now, min(dues))
            self.settle()
        self.now = max(self.now, until)

    def check(self) -> None:
        """Each grant has one answer, and the money is where the answers say."""
        given = Counter((f.session_id, f.grant) for f in self.billing.events_of(PrepaymentSatisfied))
        answered = {id: times for id, times in self.booking.grants.items() if id in given}
        assert given == answered
        assert set(given.values()) <= {1}
        course = self.booking.course()
        account = self.billing.account
        earned = 0
        for session in course.sessions:
            share = self.billing.account.share(session.session_id)
            assert share is not None
            known = S.CONFIRMED if session.state is S.CHECKED_IN else session.state  # billing does not hear of that
            assert (share.state, share.unanswered) == (known, False)
            assert share.prepaid_cents == (PRICE if session.state in (S.CONFIRMED, S.CHECKED_IN) else 0)
            earned += PRICE if session.state is S.COMPLETED and share.basis else 0
        refunded = sum(fact.amount_cents for fact in self.billing.events_of(RefundDue))
        prepaid = sum(share.prepaid_cents for share in account.shares)
        assert self.captured_cents == account.balance_cents + prepaid + earned + refunded

    def end(self) -> Any:
        """What must not depend on the order."""
        course, account = self.booking.course(), self.billing.account
        sessions = [(s.number, s.state, s.starts_at, s.chair, s.provider) for s in course.sessions]
        shares = [(s.number, s.state, s.basis, s.prepaid_cents) for s in account.shares]
        refunded = sum(fact.amount_cents for fact in self.billing.events_of(RefundDue))
        return course.state, sessions, shares, account.balance_cents, refunded


STORIES: Final[dict[str, Sequence[EventData]]] = {
    "one given, the other cancelled": (
        course_requested(2, location="albany"), payment_captured(PRICE, "pay-1"), payment_captured(PRICE, "pay-2"),
        patient_checked_in(1), treatment_completed(1), session_cancel_requested(2),
    ),
    "one is here, the other moved, too much paid": (
        course_requested(2, location="albany"), payment_captured(PRICE, "pay-1"),
        payment_captured(PRICE, "pay-2"), payment_captured(777, "pay-3"),
        patient_checked_in(1), session_reschedule_requested(2, start(2) + HOUR),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_all_orders_of_a_story_reach_the_same_end(name: str) -> None:
    """All 720, whatever the topic, and each service is as fast as it likes; told within the last hour before."""
    story, ends = STORIES[name], set()
    for number, order in enumerate(permutations(story)):
        world, dice = World(start(1) - HOUR), random.Random(number)
        world.captured_cents = sum(fact.amount_cents for fact in story if isinstance(fact, PaymentCaptured))
        for event in order:
            world.publish(event)
            if dice.random() < 0.5:
                world.settle(dice.choice)
        world.settle(dice.choice)
        world.pass_time(start(2) + 2 * DAY)
        world.check()
        ends.add(repr(world.end()))
    assert len(ends) == 1, ends


MOMENT: Final = timedelta(seconds=1)
CROSSINGS: Final = 500

DEADLINES: Final = (NOW + 72 * HOUR, start(1) - 48 * HOUR)
"""The hold runs out; the first session must be paid."""

HAPPENS: Final[Sequence[Callable[[World, random.Random], None]]] = (
    lambda world, _: world.pay(PRICE),
    lambda world, _: world.pay(PRICE),
    lambda world, _: world.pay(2 * PRICE),
    lambda world, dice: world.publish(session_cancel_requested(dice.choice((1, 2)))),
    lambda world, _: world.publish(
        course_requested(2, OTHER, location="albany")
    ),  # wants the same hours and the only chair
)


def cross(seed: int, happens: Sequence[Callable[[World, random.Random], None]], in_a_hurry: bool) -> Any:
    """Money, cancellations and another's wish around the deadlines of a course, heard at once or whenever.

    Args:
        in_a_hurry: whether all has been heard before the next thing happens.
    """
    world, dice, speed = World(chairs=1), random.Random(seed), random.Random(-seed)
    world.publish(course_requested(2, location="albany"))
    world.settle()
    moments = [dice.choice(DEADLINES) + dice.choice((-1, 0, 0, 1, 30)) * MOMENT for _ in range(dice.randint(2, 6))]
    for moment in sorted(moments):
        world.now = moment
        dice.choice(happens)(world, dice)
        if in_a_hurry:
            world.settle()
        for _ in range(speed.randint(0, 5)):
            if world.on_the_way and speed.random() < 0.7:
                world.hand_over(speed.choice(world.on_the_way))
            else:
                world.fire(speed.choice(sorted(HEARS)))
    world.settle(speed.choice)
    world.pass_time(start(2) + 2 * DAY)
    world.check()
    return world.end()


def test_grants_releases_and_late_money_cross_and_each_grant_has_one_answer() -> None:
    for seed in range(CROSSINGS):
        cross(seed, HAPPENS, in_a_hurry=False)


def test_however_fast_each_service_hears_of_it_a_course_ends_the_same() -> None:
    """As long as nobody else wants its place, and it is heard of before the first session."""
    for seed in range(CROSSINGS):
        assert cross(seed, HAPPENS[:-1], in_a_hurry=False) == cross(seed, HAPPENS[:-1], in_a_hurry=True), seed
