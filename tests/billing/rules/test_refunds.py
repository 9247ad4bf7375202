"""What is refunded to the patient: how much, from which payments, when and why."""

import pytest

from services.billing.rules.draft import Draft
from services.billing.rules.refunds import promise_refund
from shared.contract.billing import PrepaymentSatisfied, RefundDue
from shared.contract.booking import CourseClosed, SessionCancelled, SessionCompleted
from shared.contract.closed_sets import ClosedReason, RefundReason, ReleaseReason
from shared.decision.message import Message
from tests.facts.booking import accepted, confirmed, rejected, released, told
from tests.facts.clinic import asked_for, paid
from tests.facts.course import COURSE, DAY, HOUR
from tests.facts.infusions import T0, begins_at
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


def test_money_of_a_course_without_a_price_goes_back_at_its_last_planned_start(story: Story) -> None:
    story.hear_all(paid(PRICE), accepted(2, treatment="sgb"), released(1, ReleaseReason.UNPRICED))
    assert story.until(begins_at(2) - HOUR) == []
    (due,) = story.until(begins_at(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.RELEASED)


def test_money_of_a_cancelled_course_without_a_price_goes_back_at_once(story: Story) -> None:
    story.hear_all(paid(PRICE), accepted(2, treatment="sgb"), told(SessionCancelled, 1), told(SessionCancelled, 2))
    (due,) = story.hear(CourseClosed(course_id=COURSE, reason=ClosedReason.CANCELLED))
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE
    assert story.timers == {}


def test_late_money_goes_back_at_once_when_the_place_is_gone(story: Story) -> None:
    story.hear(accepted(1))
    story.until(begins_at(1) - 2 * DAY)
    story.hear_all(released(1, ReleaseReason.OVERDUE), paid(PRICE))
    (due,) = story.hear(released(1, ReleaseReason.SLOT_TAKEN, grant=1))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.SLOT_TAKEN)


def test_part_of_a_price_goes_back_when_no_place_can_be_had_any_more(story: Story) -> None:
    story.hear_all(accepted(2), paid(100))
    story.until(begins_at(1) - 2 * DAY)
    story.hear(released(1, ReleaseReason.OVERDUE))
    story.until(begins_at(2) - 2 * DAY)
    story.hear(released(2, ReleaseReason.OVERDUE))
    assert story.until(begins_at(2) - HOUR) == []
    (due,) = story.until(begins_at(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (100, RefundReason.RELEASED)


def test_what_was_paid_too_much_goes_back_when_the_course_has_ended(story: Story) -> None:
    story.hear_all(accepted(2), paid(2 * PRICE + 500), confirmed(1), confirmed(2), told(SessionCompleted, 1))
    assert story.events_of(RefundDue) == []
    (due,) = story.hear(told(SessionCompleted, 2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (500, RefundReason.OVERPAID)


def test_a_refund_comes_from_the_newest_payments_first_and_never_more_than_each_was(story: Story) -> None:
    story.hear(accepted(1))
    story.hear(paid(PRICE - 100, "old"), T0)
    story.hear(paid(100, "new", T0 + HOUR), T0 + HOUR)
    story.hear(confirmed(1))
    (due,) = story.hear(told(SessionCancelled, 1))
    assert isinstance(due, RefundDue)
    assert [(part.payment_id, part.amount_cents) for part in due.payments] == [("new", 100), ("old", PRICE - 100)]


def test_money_of_a_rejected_course_goes_back_at_the_last_planned_start(story: Story) -> None:
    story.hear_all(asked_for(), rejected(), paid(PRICE))
    assert story.until(begins_at(2) - HOUR) == []
    (due,) = story.until(begins_at(2))
    assert isinstance(due, RefundDue)
    assert due.reason is RefundReason.REJECTED


def test_money_of_a_rejected_course_that_is_asked_again_is_put_to_use(story: Story) -> None:
    story.hear_all(asked_for(), rejected(), paid(PRICE), accepted(2))
    assert len(story.events_of(PrepaymentSatisfied)) == 1
    assert ("refund", "") not in story.timers


def test_money_of_a_rejected_course_without_a_plan_waits_a_day(story: Story) -> None:
    story.hear_all(rejected(), paid(PRICE))
    assert story.timers == {("refund", ""): T0 + DAY}


def test_money_waits_while_a_treatment_that_was_given_is_not_paid(story: Story) -> None:
    story.hear_all(accepted(2), told(SessionCompleted, 1), told(SessionCancelled, 2), paid(100))
    assert story.events_of(RefundDue) == []
    assert story.account.balance_cents == 100


def test_more_than_the_payments_have_left_is_never_promised(story: Story) -> None:
    """No message leads there: the ledger and the payments would have to disagree."""
    story.hear(paid(PRICE))
    (payment,) = story.account.payments
    short = story.account._replace(payments=(payment._replace(out_cents=1),))
    fact = paid(PRICE)
    message = Message("m", fact.type, "test", T0, T0, fact)
    with pytest.raises(ValueError, match="more than was paid"):
        promise_refund(Draft(story.places, short, message, T0, story.known), PRICE, RefundReason.REQUESTED)
