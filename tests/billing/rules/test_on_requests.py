"""Money that people ask back, and prices that they waive."""

import pytest

from services.billing.account.messages import NotAllowed, RefundRequested
from shared.contract.booking import CourseAccepted
from shared.contract.closed_sets import Basis, RefundReason, Refusal, WithdrawalReason
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    insured,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_unconfirmed,
)
from tests.facts.clinic import payment_captured
from tests.facts.course import session_id
from tests.facts.wishes import refund_requested, waiver_granted
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_events import granted, promised, withdrawn
from tests.stand_ins.billing_story import Story


@pytest.mark.parametrize("course", [course_accepted(1), insured(1)], ids=["money", "cover"])
def test_a_waiver_counts_as_the_price_and_names_who_and_why(story: Story, course: CourseAccepted) -> None:
    story.hear(course)
    ((number, basis, _),) = granted(story.hear(waiver_granted()))
    assert (number, basis) == (1, Basis.WAIVED)
    (waiver,) = story.account.waivers
    assert (waiver.waived_by, waiver.reason, waiver.grant_number) == ("A. Person", "goodwill", 1)
    assert waiver.message_id == "m-2"
    assert story.hear_all(session_confirmed(1), session_completed(1)) == []
    assert story.account.unposted == ()


def test_a_waiver_of_what_was_given_unpaid_ends_what_is_owed(story: Story) -> None:
    story.hear_all(course_accepted(1), session_completed(1))
    assert story.hear(waiver_granted()) == []
    assert not story.share(1).owing


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        ([], 1, Refusal.UNKNOWN_SESSION),
        ([course_accepted(1)], 2, Refusal.UNKNOWN_SESSION),
        ([course_accepted(1), payment_captured(PRICE)], 1, Refusal.WRONG_STATE),
        ([course_accepted(1), session_cancelled(1)], 1, Refusal.WRONG_STATE),
    ],
    ids=["no course", "no session", "paid", "cancelled"],
)
def test_a_waiver_that_nothing_waits_for_is_refused(
    story: Story, before: list[EventData], number: int, code: Refusal
) -> None:
    story.hear_all(*before)
    with pytest.raises(NotAllowed) as refused:
        story.hear(waiver_granted(number))
    assert refused.value.code is code


def test_the_balance_goes_back_at_once_and_before_any_session(paid_story: Story) -> None:
    paid_story.hear(payment_captured(500, "pay-2"))
    assert promised(paid_story.hear(refund_requested(cents=200))) == [(200, RefundReason.REQUESTED)]
    events = paid_story.hear(refund_requested(cents=300 + PRICE // 2))
    assert promised(events) == [(300, RefundReason.REQUESTED)]
    assert withdrawn(events) == [(session_id(2), 1, WithdrawalReason.REFUND)]
    assert promised(paid_story.hear(session_unconfirmed(2))) == [(PRICE // 2, RefundReason.REQUESTED)]
    assert paid_story.account.balance_cents == PRICE - PRICE // 2


def test_all_that_is_unused_goes_back_and_nothing_that_was_given(paid_story: Story) -> None:
    paid_story.hear(session_completed(1))
    assert withdrawn(paid_story.hear(refund_requested())) == [(session_id(2), 1, WithdrawalReason.REFUND)]
    assert promised(paid_story.hear(session_unconfirmed(2))) == [(PRICE, RefundReason.REQUESTED)]
    with pytest.raises(NotAllowed):
        paid_story.hear(refund_requested())


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (refund_requested(3), Refusal.UNKNOWN_SESSION),
        (refund_requested(cents=2 * PRICE + 1), Refusal.WRONG_STATE),
        (refund_requested(1, cents=5), Refusal.WRONG_STATE),
    ],
    ids=["no such session", "more than there is", "both"],
)
def test_a_refund_of_what_is_not_there_is_refused(paid_story: Story, wish: RefundRequested, code: Refusal) -> None:
    with pytest.raises(NotAllowed) as refused:
        paid_story.hear(wish)
    assert refused.value.code is code


def test_a_refund_asked_for_twice_is_one_refund(paid_story: Story) -> None:
    paid_story.hear(refund_requested(2))
    with pytest.raises(NotAllowed):
        paid_story.hear(refund_requested(2))
    paid_story.hear(session_unconfirmed(2))
    with pytest.raises(NotAllowed):
        paid_story.hear(refund_requested(2))
    assert promised(paid_story.events) == [(PRICE, RefundReason.REQUESTED)]
