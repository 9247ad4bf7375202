"""Grants, releases, cancellations and late money crossing on their way, against a tiny booking that answers.

Whatever is heard first: each grant is answered once, a place is confirmed only while its price rests there, and the
money ends where the answers say.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract import (
    CourseAccepted,
    EventData,
    PaymentCaptured,
    PrepaymentOverdue,
    PrepaymentSatisfied,
    RefundDue,
    ReleaseReason,
    SessionCancelled,
    SessionState,
)
from tests.billing_story import (
    DAY,
    HOUR,
    PRICE,
    T0,
    Story,
    accepted,
    confirmed,
    paid,
    released,
    session_id,
    starts_at,
    told,
)

S = SessionState
SESSIONS = 3


class Booking:
    """Booking as billing may rely on it: states, grants and holds, no chairs."""

    def __init__(self, tell: Callable[[EventData], None]) -> None:
        self.tell = tell
        self.state: dict[int, S] = {}
        self.grant: dict[int, int] = {}
        self.place_taken: set[int] = set()
        self.answers: list[tuple[int, int]] = []
        self.hold_open = True

    def accept(self) -> CourseAccepted:
        self.state = dict.fromkeys(range(1, SESSIONS + 1), S.HELD)
        self.grant = dict.fromkeys(self.state, 0)
        course = accepted(SESSIONS)
        self.tell(course)
        return course

    def release(self, number: int, reason: ReleaseReason) -> None:
        if self.state[number] is S.HELD:
            self.state[number] = S.RELEASED
            self.tell(released(number, reason, grant=self.grant[number]))

    def hold_expires(self) -> None:
        if self.hold_open:
            self.hold_open = False
            for number in self.state:
                self.release(number, ReleaseReason.HOLD_EXPIRED)

    def cancel(self, number: int) -> None:
        if self.state.get(number) in (S.HELD, S.CONFIRMED, S.RELEASED):
            self.state[number] = S.CANCELLED
            self.tell(told(SessionCancelled, number))

    def hear(self, event: EventData, now: datetime) -> None:
        if isinstance(event, PrepaymentOverdue):
            self.release(_number(event), ReleaseReason.OVERDUE)
        elif isinstance(event, PrepaymentSatisfied):
            number = _number(event)
            assert event.grant == self.grant[number] + 1, "a grant was repeated or skipped"
            self.grant[number] = event.grant
            self.answers.append((number, event.grant))
            again = self.state[number] is S.RELEASED and number not in self.place_taken and starts_at(number) > now
            if self.state[number] is S.HELD or again:
                self.state[number] = S.CONFIRMED
                self.hold_open = False
                self.tell(confirmed(number, event.grant))
            else:
                state = self.state[number]
                self.tell(released(number, ReleaseReason.SLOT_TAKEN, grant=event.grant, state=state))


def _number(event: Any) -> int:
    return next(n for n in range(1, SESSIONS + 1) if session_id(n) == event.session_id)


class World:
    """Billing and booking with a Kafka between them that delivers when it likes, each topic in its order."""

    def __init__(self) -> None:
        self.billing = Story()
        self.now = T0
        self.bookings: deque[tuple[datetime, EventData]] = deque()
        self.payments: deque[tuple[datetime, EventData]] = deque()
        self.answers: deque[tuple[datetime, EventData]] = deque()
        self.booking = Booking(lambda event: self.bookings.append((self.now, event)))
        self.received = 0

    def pay(self, amount_cents: int) -> None:
        self.received += amount_cents
        fact: PaymentCaptured = paid(amount_cents, f"pay-{self.received}", self.now)
        self.payments.append((self.now, fact))

    def deliver(self, queue: deque[tuple[datetime, EventData]]) -> None:
        if not queue:
            return
        arrived_at, event = queue.popleft()
        if queue is self.answers:
            self.booking.hear(event, arrived_at)
        else:
            self._publish(self.billing.hear(event, arrived_at))

    def fire(self) -> None:
        """Billing's next timer, if it is due and all is heard that came before it."""
        due = min(self.billing.timers.values(), default=None)
        unheard = [arrived_at for arrived_at, _ in (*self.bookings, *self.payments)]
        if due is not None and due <= self.now and all(arrived_at > due for arrived_at in unheard):
            self.billing.now = self.now
            self._publish(self.billing.until(due))

    def hold(self) -> None:
        """Booking's hold timer, behind its own fence."""
        end = T0 + 3 * DAY
        if self.now >= end and all(arrived_at > end for arrived_at, _ in self.answers):
            self.booking.hold_expires()

    def settle_down(self) -> None:
        """Deliver all that is on its way, and all that follows from it."""
        while True:
            self.hold()
            before = len(self.billing.events), len(self.booking.answers)
            for queue in (self.bookings, self.payments, self.answers):
                while queue:
                    self.deliver(queue)
            self.fire()
            quiet = not (self.bookings or self.payments or self.answers)
            if quiet and before == (len(self.billing.events), len(self.booking.answers)) and not self._something_due():
                return

    def check_the_end(self) -> None:
        """Every promise, once nothing is on its way and every start has passed."""
        account = self.billing.account
        grants = [(_number(e), e.grant) for e in self.billing.told(PrepaymentSatisfied)]
        assert sorted(self.booking.answers) == sorted(grants)
        for number, state in self.booking.state.items():
            share = self.billing.share(number)
            assert share.state is state
            assert not share.unanswered
            assert share.prepaid_cents == (PRICE if state is S.CONFIRMED else 0)
        refunded = sum(refund.amount_cents for refund in account.refunds)
        assert self.received == account.balance_cents + refunded + sum(s.prepaid_cents for s in account.shares)
        if S.CONFIRMED not in self.booking.state.values():
            assert account.balance_cents == 0
        assert self.billing.attention == []

    def outcome(self) -> Any:
        """What an outsider can see of the money."""
        shares = [(s.number, s.state, s.basis, s.prepaid_cents) for s in self.billing.account.shares]
        refunds = sum(event.amount_cents for event in self.billing.told(RefundDue))
        return shares, self.billing.account.balance_cents, refunds

    def _publish(self, events: list[EventData]) -> None:
        self.answers += ((self.now, event) for event in events)

    def _something_due(self) -> bool:
        return any(due <= self.now for due in self.billing.timers.values())


STEPS: dict[str, Callable[[World, int], None]] = {
    "hear booking": lambda world, _: world.deliver(world.bookings),
    "hear payment": lambda world, _: world.deliver(world.payments),
    "booking hears": lambda world, _: world.deliver(world.answers),
    "timer": lambda world, _: world.fire(),
    "hold": lambda world, _: world.hold(),
    "pay": lambda world, n: world.pay((PRICE, PRICE // 2, 2 * PRICE, PRICE * SESSIONS)[n]),
    "cancel": lambda world, n: world.booking.cancel(1 + n % SESSIONS),
    "take the place": lambda world, n: world.booking.place_taken.add(1 + n % SESSIONS),
    "wait": lambda world, n: setattr(world, "now", world.now + (HOUR, DAY, 3 * DAY, 5 * DAY)[n]),
}


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 3)), max_size=60))
def test_however_they_cross_the_money_ends_where_the_answers_say(steps: list[tuple[str, int]]) -> None:
    world = World()
    world.booking.accept()
    for name, number in steps:
        STEPS[name](world, number)
        world.now += timedelta(seconds=1)
    world.settle_down()
    for hours in range(0, 24 * 25, 12):  # every deadline on the way, in order
        world.now = max(world.now, T0 + hours * HOUR)
        world.settle_down()
    world.check_the_end()


@settings(max_examples=300, deadline=None)
@given(
    order=st.lists(st.integers(0, 2), max_size=40),
    first=st.integers(0, 5 * PRICE),
    second=st.integers(1, 3 * PRICE),
    cancelled=st.integers(0, SESSIONS),
)
def test_any_order_across_topics_reaches_the_same_end(
    order: list[int], first: int, second: int, cancelled: int
) -> None:
    outcomes = []
    for deliveries in ([], order):
        world = World()
        world.booking.accept()
        if first:
            world.pay(first)
        world.booking.cancel(cancelled)
        world.pay(second)
        for number in deliveries:
            world.deliver((world.bookings, world.payments, world.answers)[number])
        world.settle_down()
        outcomes.append(world.outcome())
    assert outcomes[0] == outcomes[1]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 3 * PRICE), min_size=1, max_size=6), st.booleans())
def test_shares_are_given_whole_in_order_and_never_more_than_the_money(amounts: list[int], course_first: bool) -> None:
    story = Story()
    if course_first:
        story.hear(accepted(6, package="six"))
    for number, amount in enumerate(amounts):
        story.hear(paid(amount, f"pay-{number}"))
    if not course_first:
        story.hear(accepted(6, package="six"))
    given_cents = [s.prepaid_cents for s in story.account.shares]
    paid_for = [cents > 0 for cents in given_cents]
    assert paid_for == sorted(paid_for, reverse=True)
    assert sum(given_cents) + story.account.balance_cents == sum(amounts)
    waiting = [s.price_cents for s in story.account.shares if s.basis is None]
    assert not waiting or story.account.balance_cents < waiting[0]
