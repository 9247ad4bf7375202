"""A course lived step by step, everything heard at once, beside a model of a few numbers.

The model: what came in, what went out, what the policy lets the clinic keep, and what requests were promised. I6 and I7
must hold after each step.
"""

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.billing.account import ledger
from services.billing.account.tariff import Late, MissedPolicy, Policy
from shared.contract.billing import RefundDue
from shared.contract.closed_sets import By, RefundReason, SessionState
from tests.facts.booking import course_accepted, insured
from tests.facts.clinic import approved, denied
from tests.facts.course import DAY, HOUR, NOW, start
from tests.stand_ins.billing_story import Story
from tests.stand_ins.billing_world import SESSIONS, TREATED, World, satisfied

NUMBERS = st.integers(1, SESSIONS)
MONEY = st.sampled_from([1, 700, 5000, 30000, 45000, 90000, 135001])
LATE_FEE, MISSED_FEE = 500, 300


class Course(RuleBasedStateMachine):
    """One course at a clinic with fees, for short notice and for sessions that were missed."""

    @initialize(
        course=st.sampled_from(["ketamine_induction", "spray", "insured spray"]),
        keep=st.booleans(),
        authorized=st.booleans(),
        given=st.sets(st.integers(1, SESSIONS - 1), max_size=1),
        payer_changed=st.booleans(),
        paid=st.integers(0, SESSIONS),
    )
    def begin(self, course: str, keep: bool, authorized: bool, given: set[int], payer_changed: bool, paid: int) -> None:
        """A course that has lived already: what takes many right steps to come about is there from the start."""
        policy = Policy(
            missed=MissedPolicy.KEEP if keep else MissedPolicy.RETURN,
            missed_fee_cents=0 if keep else MISSED_FEE,
            late=(Late(within_hours=48, fee_cents=LATE_FEE),),
        )
        self.keeps_missed = keep
        self.fees = 0
        self.world = World(course == "insured spray", Story(policy))
        self.sprays = course != "ketamine_induction"
        wish = insured(SESSIONS) if self.world.covered else course_accepted(SESSIONS, course.split()[-1])
        self.world.booking.accept(wish)
        self.world.settle_down()
        if self.sprays and authorized:
            self.authorize("a", {})
        for number in given:
            self.on_the_floor(number, "complete")
        if self.sprays and payer_changed:
            self.change_payer()
        for number in range(1, paid + 1):
            self.pay_for(number, 0)

    def step(self) -> None:
        self.world.now += timedelta(seconds=1)
        self.world.settle_down()

    @rule(cents=MONEY)
    def pay(self, cents: int) -> None:
        self.world.pay(cents)
        self.step()

    @rule(number=NUMBERS, short=st.sampled_from([0, 1]))
    def pay_for(self, number: int, short: int) -> None:
        """What one session costs as things stand, or a cent less."""
        if cents := max(0, self.world.billing.share(number).price_cents - short):
            self.pay(cents)

    @precondition(lambda self: self.world.received > self.world.gone)
    @rule(cents=MONEY)
    def charge_back(self, cents: int) -> None:
        self.world.charge_back(cents)
        self.step()

    @precondition(lambda self: self.world.billing.account.refunds)
    @rule()
    def settle_refunds(self) -> None:
        self.world.settle_refunds()
        self.step()

    @precondition(lambda self: self.world.received)
    @rule(numbers=st.sets(NUMBERS, min_size=1))
    def refund(self, numbers: set[int]) -> None:
        """All that rests at these sessions, or nothing."""
        self._request(sum(self.world.billing.share(number).prepaid_cents for number in numbers), *numbers)

    @precondition(lambda self: self.world.received)
    @rule(cents=MONEY)
    def refund_so_much(self, cents: int) -> None:
        self._request(cents, cents=cents)

    @precondition(lambda self: self.world.received)
    @rule(beyond=st.sampled_from([0, 1]))
    def refund_all(self, beyond: int) -> None:
        """All that is unused, or a cent more."""
        unused = self._unused_cents()
        self._request(unused + beyond, cents=unused + beyond if beyond else None)

    def _unused_cents(self) -> int:
        billing, states = self.world.billing, self.world.booking.state
        confirmed = [number for number, state in states.items() if state is SessionState.CONFIRMED]
        return billing.account.balance_cents + sum(billing.share(number).prepaid_cents for number in confirmed)

    def _request(self, wanted_cents: int, *numbers: int, cents: int | None = None) -> None:
        """What is allowed is promised to the cent; with a patient in the chair or a dispute open, it may be less."""
        less = SessionState.CHECKED_IN in self.world.booking.state.values() or self.world.billing.account.disputed_cents
        unused, before = self._unused_cents(), self._promised_to_requests()
        allowed = self.world.refund(*numbers, cents=cents)
        self.step()
        promised = self._promised_to_requests() - before
        assert promised == wanted_cents if allowed and not less else promised <= wanted_cents * allowed
        assert less or not allowed or wanted_cents <= unused

    def _promised_to_requests(self) -> int:
        events = self.world.billing.events_of(RefundDue)
        return sum(event.amount_cents for event in events if event.reason is RefundReason.REQUESTED)

    @rule(number=NUMBERS)
    def waive(self, number: int) -> None:
        self.world.waive(number)
        self.step()

    @precondition(lambda self: self.sprays)
    @rule(
        reference=st.sampled_from("ab"),
        bounds=st.fixed_dictionaries(
            {},
            optional={
                "sessions": st.integers(1, SESSIONS),
                "copay_cents": st.sampled_from([0, 700, 45000]),
                "valid_through": st.sampled_from([(NOW + days * DAY).date() for days in (9, 12, 15)]),
            },
        ),
    )
    def authorize(self, reference: str, bounds: dict[str, Any]) -> None:
        self.world.tell_billing(approved(reference, **bounds))
        self.step()

    @precondition(lambda self: self.world.billing.account.authorizations)
    @rule(reference=st.sampled_from("ab"))
    def deny(self, reference: str) -> None:
        self.world.tell_billing(denied(reference))
        self.step()

    @precondition(lambda self: self.sprays)
    @rule()
    def change_payer(self) -> None:
        self.world.change_payer()
        self.step()

    @rule(number=NUMBERS, what=st.sampled_from(["check_in", "complete", "miss", "take"]))
    def on_the_floor(self, number: int, what: str) -> None:
        if what == "take":
            self.world.booking.place_taken.add(number)
        else:
            getattr(self.world.booking, what)(number)
        if self.world.booking.state[number] is SessionState.MISSED:
            prepaid = self.world.billing.share(number).prepaid_cents  # none of one that was missed before
            self.fees += prepaid if self.keeps_missed else min(MISSED_FEE, prepaid)
        self.step()

    @rule(number=NUMBERS, by=st.sampled_from(By))
    def cancel(self, number: int, by: By) -> None:
        self.world.booking.cancel(number, by)
        cancelled = self.world.booking.state[number] is SessionState.CANCELLED
        if cancelled and by is By.PATIENT and start(number) - self.world.now < 48 * HOUR:
            self.fees += min(LATE_FEE, self.world.billing.share(number).prepaid_cents)
        self.step()

    @rule(number=NUMBERS)
    def move(self, number: int) -> None:
        self.world.booking.move(number, self.world.now)
        self.step()

    @rule(hours=st.sampled_from([1, 12, 24, 72]))
    def wait(self, hours: int) -> None:
        for _ in range(hours):
            self.world.now += HOUR
            self.world.settle_down()

    @rule(number=NUMBERS, hours=st.sampled_from([1, 47]))
    def wait_for(self, number: int, hours: int) -> None:
        """Until short notice of a session's start."""
        self.world.live_until(start(number) - hours * HOUR)

    @invariant()
    def the_clinic_keeps_what_its_policy_says(self) -> None:
        assert ledger.credit(self.world.billing.account.unposted, ledger.FEES) == self.fees

    @invariant()
    def i6_every_cent_is_somewhere(self) -> None:
        account = self.world.billing.account
        books = account.unposted
        earned = ledger.credit(books, ledger.REVENUE) + ledger.credit(books, ledger.FEES)
        owed = ledger.credit(books, ledger.REFUNDS_DUE)
        rests = account.balance_cents + sum(share.prepaid_cents for share in account.shares)
        assert self.world.received - self.world.gone == rests + earned + owed - account.disputed_cents
        assert account.balance_cents == 0 or account.disputed_cents == 0

    @invariant()
    def i7_a_place_is_had_for_its_price_and_for_nothing_else(self) -> None:
        for number, state in self.world.booking.state.items():
            share = self.world.billing.share(number)
            assert not share.unanswered
            assert satisfied(share) if state in TREATED else state is not SessionState.HELD or share.basis is None

    @invariant()
    def nothing_waits_that_the_balance_could_pay(self) -> None:
        account, now = self.world.billing.account, self.world.now
        payable = [share for share in account.shares if share.may_be_paid(now)]
        assert all(share.price_cents > account.balance_cents for share in payable)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.live_on()
            self.world.check_the_end()


TestCourse = Course.TestCase
TestCourse.settings = settings(max_examples=1000, stateful_step_count=30, deadline=None)
