"""Which waiting texts a course still wants."""

from services.reminders.text.text import TextState
from shared.contract.billing import PrepaymentOverdue
from shared.contract.closed_sets import SessionState, SuppressedReason
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.booking import (
    course_accepted,
    session_cancelled,
    session_confirmed,
    session_released,
    session_rescheduled,
)
from tests.facts.clinic import contact_updated
from tests.facts.course import COMPANION, COURSE, DAY, HOUR, NOW, session_id, start
from tests.stand_ins.reminders_story import WAITING, K, listed, says, told


def test_a_move_that_is_taken_back_before_it_was_told_is_told_to_nobody() -> None:
    story = listed()
    story.hear(session_rescheduled(1, starts_at=start(1) + DAY, state=SessionState.CONFIRMED), NOW + 14 * HOUR)
    story.hear(session_rescheduled(1, starts_at=start(1), state=SessionState.CONFIRMED, version=4), NOW + 15 * HOUR)

    assert K.MOVED not in story.kinds(WAITING)


def test_late_money_takes_the_news_of_the_release_back_for_the_places_that_it_got_again() -> None:
    story = told(
        contact_updated(), course_accepted(2), session_released(1), session_released(2), session_confirmed(1, version=3)
    )

    assert "hold these appointments: Thu Mar 12 10:00 AM." in says(story, K.RELEASED)
    story.hear(session_confirmed(2, version=3))
    assert K.RELEASED not in story.kinds(WAITING)


def test_a_companion_who_comes_along_no_more_is_told_nothing_more() -> None:
    both = (COMPANION,)
    story = told(
        contact_updated(),
        course_accepted(1, companions=both),
        session_confirmed(1, companions=both),
        session_confirmed(1, version=3),
    )

    notice = story.text(K.COMPANION_NOTICE)
    assert (notice.state, notice.reason) == (TextState.SUPPRESSED, SuppressedReason.SUPERSEDED)


def test_a_course_of_which_nothing_took_place_brings_no_evaluation() -> None:
    story = listed()
    story.hear(session_cancelled(1))
    story.hear(session_cancelled(2))

    assert not {K.EVALUATION, K.BOOSTER_DUE} & set(story.kinds())


def test_the_payment_text_is_taken_back_only_when_nothing_is_left_to_pay() -> None:
    story = told(contact_updated(), course_accepted(2), prepayment_required(1), prepayment_required(2))

    story.hear(prepayment_satisfied(1))
    assert story.kinds(WAITING) == [K.PAYMENT_DUE]
    story.hear(prepayment_satisfied(2))
    assert story.texts(WAITING) == []


def test_what_became_overdue_is_not_asked_for() -> None:
    story = told(contact_updated(), course_accepted(1), prepayment_required(1))
    story.hear(PrepaymentOverdue(course_id=COURSE, session_id=session_id(1), amount_cents=57917, due_at=NOW + DAY))

    assert story.texts(WAITING) == []


def test_a_new_demand_on_the_same_day_wants_the_text_back_that_was_taken_back() -> None:
    story = told(
        contact_updated(), course_accepted(2), prepayment_required(1), prepayment_satisfied(1), prepayment_required(2)
    )

    assert story.kinds(WAITING) == [K.PAYMENT_DUE]
