"""Deadlines that pass, courses that never come, sessions that nobody knows."""

import pytest

from services.billing.account.account import Stage
from shared.contract.billing import PrepaymentOverdue
from shared.contract.internal import TimerDue
from tests.facts.booking import course_accepted, session_confirmed, session_rescheduled
from tests.facts.clinic import approved, payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, session_id, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


def test_an_authorization_of_a_course_that_never_comes_goes_to_a_person(story: Story) -> None:
    story.hear(approved())
    story.until(NOW + DAY)
    assert [item.kind for item in story.attention] == ["authorization_without_course"]


def test_money_of_a_course_that_never_comes_goes_to_a_person_and_stays(story: Story) -> None:
    story.hear(payment_captured(PRICE))
    assert story.until(NOW + 2 * DAY) == []
    assert [item.kind for item in story.attention] == ["payment_without_course"]
    assert story.account.balance_cents == PRICE


def test_an_unpaid_session_is_overdue_once_when_due(story: Story) -> None:
    story.hear(course_accepted(2))
    (late,) = story.until(start(1) - 2 * DAY)
    assert late == PrepaymentOverdue(
        course_id=COURSE, session_id=session_id(1), amount_cents=PRICE, due_at=start(1) - 2 * DAY
    )
    assert story.until(start(2) - 2 * DAY - HOUR) == []


def test_a_session_of_an_unknown_course_goes_to_a_person(story: Story) -> None:
    story.hear(session_confirmed(1))
    assert [item.kind for item in story.attention] == ["unknown_session"]
    assert story.account.stage is Stage.UNKNOWN


def test_a_deadline_that_was_moved_while_its_timer_fired_is_not_overdue(story: Story) -> None:
    story.hear(course_accepted(1))
    fired = TimerDue(of=str(COURSE), kind="due", subject=str(session_id(1)), due_at=start(1) - 2 * DAY)
    story.hear(session_rescheduled(1, starts_at=start(5)))
    assert story.hear(fired) == []


def test_a_timer_of_a_kind_that_no_rule_sets_is_a_defect(story: Story) -> None:
    story.hear(course_accepted(1))
    with pytest.raises(ValueError, match="'lunch' is not a valid TimerKind"):
        story.hear(TimerDue(of=str(COURSE), kind="lunch", subject="", due_at=NOW))
