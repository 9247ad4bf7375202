"""Billing's rules, a tiny booking that answers them, and a Kafka between them that delivers when it likes."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.billing.account import ledger
from services.billing.account.messages import NotAllowed
from services.billing.account.share import Share
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PrepaymentWithdrawn, RefundSettled
from shared.contract.booking import (
    CourseAccepted,
)
from shared.contract.clinic import PaymentCaptured, PaymentReversed
from shared.contract.closed_sets import Basis, By, ReleaseReason, SessionState
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    course_changed,
    insured,
    insured_since,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
    session_withdrawal_refused,
)
from tests.facts.clinic import charged_back, payment_captured, payment_reversed
from tests.facts.course import DAY, HOUR, NOW, session_id, start
from tests.facts.wishes import refund_requested, waiver_granted
from tests.stand_ins.billing_story import Story

SESSIONS = 3
OVER = (SessionState.COMPLETED, SessionState.MISSED, SessionState.CANCELLED)
TREATED = (SessionState.CONFIRMED, SessionState.CHECKED_IN)


class Booking:
    """Booking as billing may rely on it: states, grants and holds, no chairs.

    Attributes:
        answers, returns: (number, grant) of every grant that was answered, and of every withdrawal.
    """

    def __init__(self, tell: Callable[[EventData], None]) -> None:
        self.tell = tell
        self.state: dict[int, SessionState] = {}
        self.grant: dict[int, int] = {}
        self.place_taken: set[int] = set()
        self.answers: list[tuple[int, int]] = []
        self.returns: list[tuple[int, int]] = []
        self.hold_open = True

    def accept(self, course: CourseAccepted | None = None) -> None:
        self.state = dict.fromkeys(range(1, SESSIONS + 1), SessionState.HELD)
        self.grant = dict.fromkeys(self.state, 0)
        self.tell(course or course_accepted(SESSIONS))

    def change(self, course: CourseAccepted) -> None:
        self.tell(course)

    def release(self, number: int, reason: ReleaseReason) -> None:
        if self.state[number] is SessionState.HELD:
            self.state[number] = SessionState.RELEASED
            self.tell(session_released(number, reason, grant=self.grant[number]))

    def hold_expires(self) -> None:
        if self.hold_open:
            self.hold_open = False
            for number in self.state:
                self.release(number, ReleaseReason.HOLD_EXPIRED)

    def cancel(self, number: int, by: By = By.PATIENT) -> None:
        if self.state.get(number) in (SessionState.HELD, SessionState.CONFIRMED, SessionState.RELEASED):
            self.state[number] = SessionState.CANCELLED
            self.tell(session_cancelled(number, by=by))

    def check_in(self, number: int) -> None:
        if self.state.get(number) is SessionState.CONFIRMED:
            self.state[number] = SessionState.CHECKED_IN  # billing does not listen to that

    def complete(self, number: int) -> None:
        if self.state.get(number) not in (None, SessionState.COMPLETED):  # what was given is a fact, paid or not
            self.state[number] = SessionState.COMPLETED
            self.tell(session_completed(number))

    def miss(self, number: int) -> None:
        if self.state.get(number) in (SessionState.HELD, SessionState.CONFIRMED):
            self.state[number] = SessionState.MISSED
            self.tell(session_missed(number))

    def move(self, number: int, now: datetime) -> None:
        """A missed or released session begins again, at the same hour for simplicity."""
        if self.state.get(number) in (SessionState.MISSED, SessionState.RELEASED) and start(number) > now:
            self.state[number] = SessionState.HELD
            self.tell(session_rescheduled(number))

    def hear(self, event: EventData, now: datetime) -> None:
        match event:
            case PrepaymentOverdue():
                self.release(number_of(event), ReleaseReason.OVERDUE)
            case PrepaymentSatisfied():
                self._answer(event, number_of(event), now)
            case PrepaymentWithdrawn():
                self._answer_withdrawal(event, number_of(event))
            case _:
                pass

    def _answer(self, event: PrepaymentSatisfied, number: int, now: datetime) -> None:
        assert event.grant == self.grant[number] + 1, "a grant was repeated or skipped"
        self.grant[number] = event.grant
        self.answers.append((number, event.grant))
        state = self.state[number]
        again = state is SessionState.RELEASED and number not in self.place_taken and start(number) > now
        if state is SessionState.HELD or again:
            self.state[number] = SessionState.CONFIRMED
            self.hold_open = False
            self.tell(session_confirmed(number, event.grant))
        elif state in (*TREATED, SessionState.COMPLETED):
            self.tell(session_confirmed(number, event.grant, state=state))
        else:
            self.tell(session_released(number, ReleaseReason.SLOT_TAKEN, grant=event.grant, state=state))

    def _answer_withdrawal(self, event: PrepaymentWithdrawn, number: int) -> None:
        assert event.grant == self.grant[number], "a grant was asked back that booking does not have"
        assert (number, event.grant) not in self.returns, "a grant was asked back twice"
        self.returns.append((number, event.grant))
        if self.state[number] is SessionState.CONFIRMED:
            self.state[number] = SessionState.HELD
            self.tell(session_unconfirmed(number, event.grant, event.reason))
        else:
            self.tell(session_withdrawal_refused(number, event.grant, self.state[number]))


def number_of(event: Any) -> int:
    """The number of the session that an event is about."""
    return next(n for n in range(1, SESSIONS + 1) if session_id(n) == event.session_id)


class World:
    """Billing and booking, each topic in its order, no order between topics."""

    def __init__(self, covered: bool = False, story: Story | None = None) -> None:
        self.billing = story or Story()
        self.covered = covered
        self.now = NOW
        self.bookings: deque[tuple[datetime, EventData]] = deque()
        self.payments: deque[tuple[datetime, EventData]] = deque()
        self.answers: deque[tuple[datetime, EventData]] = deque()
        self.booking = Booking(lambda event: self.bookings.append((self.now, event)))
        self.received = 0
        self.gone = 0
        self.numbered = 0

    def accept(self) -> None:
        self.booking.accept(insured(SESSIONS) if self.covered else None)

    def change_payer(self) -> None:
        self.covered = not self.covered
        self_paid = course_changed(SESSIONS, treatment="spray")
        self.booking.change(insured_since(SESSIONS) if self.covered else self_paid)

    def pay(self, amount_cents: int) -> None:
        self.received += amount_cents
        self.tell_billing(payment_captured(amount_cents, f"pay-{self.received}", self.now))

    def charge_back(self, amount_cents: int) -> None:
        """A bank takes of the last payment what it still has."""
        heard = [(payment.payment_id, payment.left_cents) for payment in self.billing.account.payments]
        coming = [
            (fact.payment_id, fact.amount_cents) for _, fact in self.payments if isinstance(fact, PaymentCaptured)
        ]
        for payment_id, left in reversed(heard + coming):
            if left and payment_id not in self._going():
                amount = min(left, amount_cents)
                self.gone += amount
                self.tell_billing(charged_back(amount, payment_id, f"rev-{self.number()}"))
                return

    def settle_refunds(self) -> None:
        """The till gives back what is owed, each payment's part by itself; of one that a bank takes back, nothing."""
        for refund in self.billing.account.refunds:
            for part in refund.parts:
                left = part.amount_cents - part.settled_cents
                if left and part.payment_id not in self._going():
                    self.gone += left
                    self.tell_billing(payment_reversed(left, refund.refund_id, part.payment_id, f"rev-{self.number()}"))

    def _going(self) -> set[str]:
        """Payments of which a reversal is on its way."""
        return {fact.payment_id for _, fact in self.payments if isinstance(fact, PaymentReversed)}

    def ask(self, request: EventData) -> bool:
        """A request by HTTP: decided at once; False where it is not allowed."""
        try:
            self._publish(self.billing.hear(request, self.now))
        except NotAllowed:
            return False
        return True

    def refund(self, *numbers: int, cents: int | None = None) -> bool:
        return self.ask(refund_requested(*numbers, cents=cents))

    def waive(self, number: int) -> None:
        self.ask(waiver_granted(number))

    def tell_billing(self, fact: EventData) -> None:
        self.payments.append((self.now, fact))

    def number(self) -> int:
        self.numbered += 1
        return self.numbered

    # What Kafka and the clocks do -------------------------------------------------------------------------------------

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
        end = NOW + 3 * DAY
        if self.now >= end and all(arrived_at > end for arrived_at, _ in self.answers):
            self.booking.hold_expires()

    def settle_down(self) -> None:
        """Deliver all that is on its way, and all that follows from it."""
        while True:
            self.hold()
            before = self._progress()
            for queue in (self.bookings, self.payments, self.answers):
                while queue:
                    self.deliver(queue)
            self.fire()
            quiet = not (self.bookings or self.payments or self.answers)
            if quiet and before == self._progress() and not self._something_due():
                return

    def live_on(self) -> None:
        """Every deadline on the way until every start has passed, in order."""
        self.live_until(NOW + 25 * DAY)

    def live_until(self, to: datetime) -> None:
        """Let time pass by half days."""
        while self.now < to:
            self.now = min(self.now + 12 * HOUR, to)
            self.settle_down()

    def _progress(self) -> tuple[int, ...]:
        return len(self.billing.events), len(self.booking.answers), len(self.booking.returns)

    def _publish(self, events: list[EventData]) -> None:
        self.answers += ((self.now, event) for event in events)

    def _something_due(self) -> bool:
        return any(due <= self.now for due in self.billing.timers.values())

    # What must be true ------------------------------------------------------------------------------------------------

    def check_the_gate(self) -> None:
        """I7, at any moment: who has the place, or is in the chair, has it by money that rests there, or by a word."""
        for number, state in self.booking.state.items():
            if state in TREATED:
                assert satisfied(self.billing.share(number)), f"session {number} is {state} for nothing"

    def check_the_end(self) -> None:
        """Every promise, once nothing is on its way and every start has passed."""
        account, books = self.billing.account, self.billing.account.unposted
        grants = [(number_of(e), e.grant) for e in self.billing.events_of(PrepaymentSatisfied)]
        assert sorted(self.booking.answers) == sorted(grants)
        back = [(number_of(e), e.grant) for e in self.billing.events_of(PrepaymentWithdrawn)]
        assert sorted(self.booking.returns) == sorted(back)
        for number, state in self.booking.state.items():
            share = self.billing.share(number)
            assert share.state is state or (share.state, state) == (SessionState.CONFIRMED, SessionState.CHECKED_IN)
            assert not share.unanswered
            assert share.withdrawal is None
            assert state in TREATED or share.prepaid_cents == 0
        cash = sum(p.amount_cents for e in books for p in e.postings if p.account.startswith("cash:"))
        assert cash == self.received - self.gone
        if not any(share.owing or self.booking.state[share.number] in TREATED for share in account.shares):
            assert account.balance_cents == 0
        assert len(self.billing.events_of(RefundSettled)) == sum(refund.settled for refund in account.refunds)
        odd = {item.kind for item in self.billing.attention}
        assert odd <= {"reversal", "withdrawal_refused", "authorization_denied", "unpriced_change", "unpaid_completion"}

    def outcome(self) -> Any:
        """What an outsider can see of the money when all is said: not by which way it came there."""
        account = self.billing.account
        shares = [(s.number, s.state, s.basis, s.prepaid_cents, s.cover) for s in account.shares]
        owed = ledger.credit(account.unposted, ledger.REFUNDS_DUE)
        return shares, account.balance_cents, owed, account.disputed_cents


def satisfied(share: Share) -> bool:
    """Whether a session's whole price rests at it, or something else stands for it."""
    match share.basis:
        case Basis.PAID | Basis.INSURED:
            return share.prepaid_cents == share.price_cents
        case Basis.FREE:
            return share.price_cents == 0
        case Basis.WAIVED:
            return True
        case None:
            return False
