"""What becomes of a session's money when it was given or missed."""

from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied, RefundDue
from shared.contract.booking import SessionCompleted, SessionMissed, SessionRescheduled
from shared.contract.closed_sets import ReleaseReason, SessionState
from tests.facts.booking import accepted, confirmed, released, told
from tests.facts.clinic import paid
from tests.facts.course import HOUR
from tests.facts.infusions import begins_at
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


def test_a_missed_session_returns_its_share_where_the_clinic_says_so(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), confirmed(1))
    (due,) = story.hear(told(SessionMissed, 1), begins_at(1) + HOUR)
    assert isinstance(due, RefundDue)
    assert due.amount_cents == PRICE


def test_a_missed_session_that_begins_again_is_paid_again_where_the_clinic_kept_it() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(accepted(1), paid(PRICE), confirmed(1), told(SessionMissed, 1))
    (asked,) = story.hear(told(SessionRescheduled, 1, at=begins_at(5)))
    assert isinstance(asked, PrepaymentRequired)
    (_, granted) = story.hear(paid(PRICE, "pay-2"))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.grant == 2


def test_a_missed_session_with_a_grant_on_its_way_waits_for_the_answer() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(accepted(1), paid(PRICE))
    assert story.hear(told(SessionMissed, 1)) == []
    (due,) = story.hear(released(1, ReleaseReason.SLOT_TAKEN, grant=1, state=SessionState.MISSED))
    assert isinstance(due, RefundDue)


def test_revenue_waits_for_the_answer_to_a_grant(story: Story) -> None:
    story.hear_all(accepted(1), paid(PRICE), told(SessionCompleted, 1))
    assert story.share(1).prepaid_cents == PRICE
    story.hear(confirmed(1, state=SessionState.COMPLETED))
    assert story.share(1).prepaid_cents == 0
    assert story.share(1).state is SessionState.COMPLETED
