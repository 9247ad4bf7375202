"""What is refunded to the patient: how much, from which payments, when and why."""

import pytest

from services.billing.rules.draft import Draft
from services.billing.rules.refunds import promise_refund
from shared.contract.billing import PrepaymentSatisfied, RefundDue
from shared.contract.booking import CourseClosed
from shared.contract.closed_sets import ClosedReason, RefundReason, ReleaseReason
from shared.decision.message import Message
from tests.facts.booking import (
    course_accepted,
    course_rejected,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_released,
)
from tests.facts.clinic import course_requested, payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


def test_money_of_a_course_without_a_price_goes_back_at_its_last_planned_start(story: Story) -> None:
    story.hear_all(
        payment_captured(PRICE), course_accepted(2, treatment="sgb"), session_released(1, ReleaseReason.UNPRICED)
    )
    assert story.until(start(2) - HOUR) == []
    (due,) = story.until(start(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.RELEASED)


def test_money_of_a_cancelled_course_without_a_price_goes_back_at_once(story: Story) -> None:
    story.hear_all(
        payment_captured(PRICE), course_accepted(2, treatment="sgb"), session_cancelled(1), session_cancelled(2)
    )
    (due,) = story.hear(CourseClosed(course_id=COURSE, reason=ClosedReason.CANCELLED))
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE
    assert story.timers == {}


def test_late_money_goes_back_at_once_when_the_place_is_gone(story: Story) -> None:
    story.hear(course_accepted(1))
    story.until(start(1) - 2 * DAY)
    story.hear_all(session_released(1, ReleaseReason.OVERDUE), payment_captured(PRICE))
    (due,) = story.hear(session_released(1, ReleaseReason.SLOT_TAKEN, grant=1))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (PRICE, RefundReason.SLOT_TAKEN)


def test_part_of_a_price_goes_back_when_no_place_can_be_had_any_more(story: Story) -> None:
    story.hear_all(course_accepted(2), payment_captured(100))
    story.until(start(1) - 2 * DAY)
    story.hear(session_released(1, ReleaseReason.OVERDUE))
    story.until(start(2) - 2 * DAY)
    story.hear(session_released(2, ReleaseReason.OVERDUE))
    assert story.until(start(2) - HOUR) == []
    (due,) = story.until(start(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (100, RefundReason.RELEASED)


def test_what_was_paid_too_much_goes_back_when_the_course_has_ended(story: Story) -> None:
    story.hear_all(
        course_accepted(2),
        payment_captured(2 * PRICE + 500),
        session_confirmed(1),
        session_confirmed(2),
        session_completed(1),
    )
    assert story.events_of(RefundDue) == []
    (due,) = story.hear(session_completed(2))
    assert isinstance(due, RefundDue)
    assert (due.amount_cents, due.reason) == (500, RefundReason.OVERPAID)


def test_a_refund_comes_from_the_newest_payments_first_and_never_more_than_each_was(story: Story) -> None:
    story.hear(course_accepted(1))
    story.hear(payment_captured(PRICE - 100, "old"), NOW)
    story.hear(payment_captured(100, "new", NOW + HOUR), NOW + HOUR)
    story.hear(session_confirmed(1))
    (due,) = story.hear(session_cancelled(1))
    assert isinstance(due, RefundDue)
    assert [(part.payment_id, part.amount_cents) for part in due.payments] == [("new", 100), ("old", PRICE - 100)]


def test_money_of_a_rejected_course_goes_back_at_the_last_planned_start(story: Story) -> None:
    story.hear_all(course_requested(), course_rejected(), payment_captured(PRICE))
    assert story.until(start(2) - HOUR) == []
    (due,) = story.until(start(2))
    assert isinstance(due, RefundDue)
    assert due.reason is RefundReason.REJECTED


def test_money_of_a_rejected_course_that_is_asked_again_is_put_to_use(story: Story) -> None:
    story.hear_all(course_requested(), course_rejected(), payment_captured(PRICE), course_accepted(2))
    assert len(story.events_of(PrepaymentSatisfied)) == 1
    assert ("refund", "") not in story.timers


def test_money_of_a_rejected_course_without_a_plan_waits_a_day(story: Story) -> None:
    story.hear_all(course_rejected(), payment_captured(PRICE))
    assert story.timers == {("refund", ""): NOW + DAY}


def test_money_waits_while_a_treatment_that_was_given_is_not_paid(story: Story) -> None:
    story.hear_all(course_accepted(2), session_completed(1), session_cancelled(2), payment_captured(100))
    assert story.events_of(RefundDue) == []
    assert story.account.balance_cents == 100


def test_more_than_the_payments_have_left_is_never_promised(story: Story) -> None:
    """No message leads there: the ledger and the payments would have to disagree."""
    story.hear(payment_captured(PRICE))
    (payment,) = story.account.payments
    short = story.account._replace(payments=(payment._replace(out_cents=1),))
    fact = payment_captured(PRICE)
    message = Message("m", fact.type, "test", NOW, NOW, fact)
    with pytest.raises(ValueError, match="more than was paid"):
        promise_refund(Draft(story.places, short, message, NOW, story.known), PRICE, RefundReason.REQUESTED)
