"""What becomes of a session's money when it was given or missed."""

from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied, RefundDue
from shared.contract.closed_sets import ReleaseReason, SessionState
from tests.facts.booking import (
    course_accepted,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
)
from tests.facts.clinic import payment_captured
from tests.facts.course import HOUR, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


def test_a_missed_session_returns_its_share_where_the_clinic_says_so(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    (due,) = story.hear(session_missed(1), start(1) + HOUR)
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE


def test_a_missed_session_that_begins_again_is_paid_again_where_the_clinic_kept_it() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1), session_missed(1))
    (asked,) = story.hear(session_rescheduled(1, starts_at=start(5)))
    assert isinstance(asked, PrepaymentRequired)
    (_, granted) = story.hear(payment_captured(PRICE, "pay-2"))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.grant == 2


def test_a_missed_session_with_a_grant_on_its_way_waits_for_the_answer() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(course_accepted(1), payment_captured(PRICE))
    assert story.hear(session_missed(1)) == []
    (due,) = story.hear(session_released(1, ReleaseReason.SLOT_TAKEN, grant=1, state=SessionState.MISSED))
    assert isinstance(due, RefundDue)


def test_revenue_waits_for_the_answer_to_a_grant(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_completed(1))
    assert story.share(1).prepaid_cents == PRICE
    story.hear(session_confirmed(1, state=SessionState.COMPLETED))
    assert story.share(1).prepaid_cents == 0
    assert story.share(1).state is SessionState.COMPLETED
