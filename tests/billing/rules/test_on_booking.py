"""What follows from booking's words: a course is priced, sessions are asked for, places come and go."""

import pytest

from services.billing.account.account import Stage
from shared.contract.billing import (
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    PricingRejected,
    RefundDue,
)
from shared.contract.booking import CourseChanged
from shared.contract.closed_sets import (
    Basis,
    Payer,
    PricingRefusal,
    RefundReason,
    ReleaseReason,
    SessionState,
    WithdrawalReason,
)
from tests.facts.booking import (
    course_accepted,
    course_changed,
    insured,
    insured_since,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
)
from tests.facts.clinic import approved, payment_captured
from tests.facts.course import COURSE, DAY, PATIENT, session_id, start
from tests.stand_ins.billed_clinics import COPAY, PRICE, SELF
from tests.stand_ins.billing_events import COVER, MONEY, asked, granted, kinds
from tests.stand_ins.billing_story import Story


def test_a_plan_that_does_not_cover_is_refused_by_name(story: Story) -> None:
    (refusal,) = story.hear(insured(1, "coils", plan="state-aid"))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is PricingRefusal.NOT_COVERED


def test_what_only_insured_patients_get_has_no_price_for_others(story: Story) -> None:
    (refusal,) = story.hear(course_accepted(1, "coils"))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is PricingRefusal.NO_PRICE


def test_the_patients_first_consultation_is_free_and_no_other(story: Story) -> None:
    assert granted(story.hear(course_accepted(2, "consultation"))) == [(1, Basis.FREE, 0)]
    assert story.known.visited == {("stella", PATIENT, "consultation")}
    later = Story()
    later.known = story.known
    assert asked(later.hear(course_accepted(1, "consultation"))) == [(1, MONEY, 15000)]
    assert granted(later.hear(course_accepted(1, "consultation"))) == []


def test_who_pays_changes_what_an_open_session_needs(story: Story) -> None:
    story.hear(course_accepted(1, "spray"))
    assert asked(story.hear(insured_since())) == [(1, COVER, COPAY)]
    assert asked(story.hear(course_changed(1, treatment="spray"))) == [(1, MONEY, SELF)]


def test_what_was_satisfied_for_another_payer_is_taken_back_first(story: Story) -> None:
    story.hear_all(course_accepted(1, "spray"), payment_captured(SELF), session_confirmed(1))
    (back,) = story.hear(insured_since())
    assert isinstance(back, PrepaymentWithdrawn)
    assert back.reason is WithdrawalReason.PAYER_CHANGED
    assert story.share(1).prepaid_cents == SELF
    assert asked(story.hear(session_unconfirmed(1))) == [(1, COVER, COPAY)]
    assert story.account.balance_cents == SELF
    assert granted(story.hear(approved())) == [(1, Basis.INSURED, COPAY)]
    assert story.account.balance_cents == SELF - COPAY


def test_a_payer_who_changes_while_a_grant_is_on_its_way_waits_for_the_answer(story: Story) -> None:
    story.hear_all(course_accepted(1, "spray"), payment_captured(SELF))
    assert story.hear(insured_since()) == []
    assert kinds(story.hear(session_confirmed(1))) == ["prepayment.withdrawn"]
    changed_back = Story()
    changed_back.hear_all(
        course_accepted(1, "spray"), payment_captured(SELF), insured_since(), course_changed(1, treatment="spray")
    )
    assert changed_back.hear(session_confirmed(1)) == []


def test_a_payer_who_changes_back_after_the_grant_was_asked_for_satisfies_it_anew(story: Story) -> None:
    story.hear_all(
        course_accepted(1, "spray"),
        payment_captured(SELF),
        session_confirmed(1),
        insured_since(),
        course_changed(1, treatment="spray"),
    )
    assert granted(story.hear(session_unconfirmed(1))) == [(1, Basis.PAID, SELF)]
    assert story.attention == []


def test_off_label_both_payers_pay_the_same_and_nothing_changes(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    assert story.hear(course_changed(1, payer=Payer.INSURANCE, insurance={"plan": "Good Health"})) == []
    assert story.account.payer is Payer.INSURANCE


def test_a_payer_with_whom_it_has_no_price_goes_to_a_person_and_nothing_changes(story: Story) -> None:
    story.hear_all(insured(1, "coils"), approved(), session_confirmed(1))
    assert story.hear(course_changed(1, treatment="coils")) == []
    assert [item.kind for item in story.attention] == ["unpriced_change"]
    assert story.account.payer is Payer.INSURANCE


def test_added_sessions_cost_what_the_course_was_accepted_for(story: Story) -> None:
    story.hear(course_accepted(1))
    story.places = {}
    assert asked(story.hear(course_changed(2))) == [(2, MONEY, PRICE)]


def test_a_package_asks_for_each_share_to_the_cent(story: Story) -> None:
    asked = story.hear(course_accepted(6, package="six"))
    assert [e.amount_cents for e in asked if isinstance(e, PrepaymentRequired)] == [57917] * 4 + [57916] * 2
    assert [e.due_at for e in asked if isinstance(e, PrepaymentRequired)] == [start(n) - 2 * DAY for n in range(1, 7)]
    assert len([key for key in story.timers if key[0] == "due"]) == 6


@pytest.mark.parametrize("payer", list(Payer))
def test_off_label_both_payers_pay_the_full_price(story: Story, payer: Payer) -> None:
    (asked,) = story.hear(course_accepted(1, payer=payer))
    assert isinstance(asked, PrepaymentRequired)
    assert asked.amount_cents == PRICE


def test_a_free_session_is_satisfied_at_once_without_a_ledger_entry(story: Story) -> None:
    (granted,) = story.hear(course_accepted(1, treatment="consultation"))
    assert granted == PrepaymentSatisfied(
        course_id=COURSE, session_id=session_id(1), grant=1, basis=Basis.FREE, amount_cents=0
    )
    assert story.account.unposted == ()
    assert story.timers == {}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"treatment": "sgb"}, PricingRefusal.NO_PRICE),
        ({"location": "paris"}, PricingRefusal.NO_PRICE),
        ({"package": "ten"}, PricingRefusal.UNKNOWN_PACKAGE),
        ({"package": "six"}, PricingRefusal.WRONG_COUNT),
    ],
)
def test_a_course_without_a_price_is_refused_by_name(story: Story, wrong: dict[str, str], code: PricingRefusal) -> None:
    (refusal,) = story.hear(course_accepted(2, **wrong))
    assert isinstance(refusal, PricingRejected)
    assert refusal.code is code
    story.hear(session_released(1, ReleaseReason.UNPRICED))
    assert story.attention == []


def test_a_release_that_crosses_a_grant_moves_no_money(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE))
    assert story.hear(session_released(1, ReleaseReason.HOLD_EXPIRED, grant=0)) == []
    assert story.share(1).prepaid_cents == PRICE
    story.hear(session_confirmed(1))
    assert story.share(1).prepaid_cents == PRICE


def test_the_money_of_a_refused_grant_goes_to_the_next_session(story: Story) -> None:
    story.hear_all(
        course_accepted(2), payment_captured(PRICE), session_released(1, ReleaseReason.HOLD_EXPIRED, grant=0)
    )
    (granted,) = story.hear(session_released(1, ReleaseReason.SLOT_TAKEN, grant=1))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(2)


def test_a_cancelled_session_that_was_confirmed_returns_its_share_at_once(story: Story) -> None:
    story.hear_all(course_accepted(2), payment_captured(2 * PRICE), session_confirmed(1), session_confirmed(2))
    (due,) = story.hear(session_cancelled(1))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.CANCELLED)
    assert [(part.payment_id, part.amount_cents) for part in due.payments] == [("pay-1", PRICE)]


def test_a_cancellation_that_crosses_a_grant_waits_for_its_answer(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE))
    assert story.hear(session_cancelled(1)) == []
    assert story.share(1).prepaid_cents == PRICE
    (due,) = story.hear(session_released(1, ReleaseReason.SLOT_TAKEN, grant=1, state=SessionState.CANCELLED))
    assert isinstance(due, RefundDue)
    assert due.reason is RefundReason.CANCELLED


def test_an_answer_to_a_grant_that_was_never_given_goes_to_a_person(story: Story) -> None:
    story.hear_all(course_accepted(2), session_confirmed(1), session_released(2, ReleaseReason.SLOT_TAKEN, grant=3))
    assert [item.kind for item in story.attention] == ["unknown_grant", "unknown_grant"]


def test_a_moved_session_is_due_anew(story: Story) -> None:
    story.hear(course_accepted(1))
    (asked,) = story.hear(session_rescheduled(1, starts_at=start(5)))
    assert isinstance(asked, PrepaymentRequired)
    assert asked.due_at == start(5) - 2 * DAY
    assert story.timers == {("due", str(session_id(1))): start(5) - 2 * DAY}


def test_a_paid_session_that_moves_stays_paid(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    assert story.hear(session_rescheduled(1, starts_at=start(5), state=SessionState.CONFIRMED)) == []
    assert story.share(1).starts_at == start(5)


def test_an_unpaid_completion_goes_to_a_person_and_the_next_money_pays_for_it(story: Story) -> None:
    story.hear_all(course_accepted(2), session_completed(1))
    assert [item.kind for item in story.attention] == ["unpaid_completion"]
    assert kinds(story.hear(payment_captured(PRICE))) == ["payment.recorded"]
    assert story.share(1).basis is Basis.PAID
    assert story.share(1).prepaid_cents == 0
    assert story.share(1).granted == 0


def test_sessions_are_added_at_the_price_of_one(story: Story) -> None:
    story.hear(course_accepted(1))
    wider = CourseChanged.model_validate(course_accepted(2, payer=Payer.INSURANCE).model_dump())
    (asked,) = story.hear(wider)
    assert isinstance(asked, PrepaymentRequired)
    assert asked.session_id == session_id(2)
    assert story.account.payer is Payer.INSURANCE


def test_sessions_added_to_a_package_go_to_a_person(story: Story) -> None:
    story.hear(course_accepted(6, package="six"))
    assert story.hear(CourseChanged.model_validate(course_accepted(7, package="six").model_dump())) == []
    assert [item.kind for item in story.attention] == ["unpriced_change"]


def test_a_course_is_accepted_once(story: Story) -> None:
    story.hear(course_accepted(1))
    assert story.hear(course_accepted(1)) == []
    assert [item.kind for item in story.attention] == ["accepted_again"]


def test_what_pays_after_bookings_answer_is_answered() -> None:
    story = Story()
    story.hear_all(course_accepted(2), session_confirmed(1))
    assert [item.kind for item in story.attention] == ["unknown_grant"]
    granted = [e for e in story.hear(payment_captured(PRICE)) if isinstance(e, PrepaymentSatisfied)]
    assert [(e.session_id, e.grant) for e in granted] == [(session_id(1), 1)]
    share = story.share(1)
    assert (share.state, share.granted, share.answered) == (SessionState.CONFIRMED, 1, 1)
    assert not share.unanswered, "booking answers each grant once"


def test_the_next_grant_waits_for_its_answer_as_ever() -> None:
    story = Story()
    story.hear_all(course_accepted(2), session_confirmed(1), payment_captured(2 * PRICE))
    assert story.share(2).unanswered


def test_a_treatment_given_meanwhile_is_paid_by_the_money_that_is_heard_late() -> None:
    story = Story()
    story.hear_all(course_accepted(1), session_confirmed(1), session_completed(1))
    story.hear(payment_captured(PRICE))
    assert story.account.stage is Stage.PRICED
    assert story.account.balance_cents == 0
    assert not story.share(1).owing
