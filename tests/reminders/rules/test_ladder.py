"""Which texts an event plans, for whom and for when."""

from datetime import timedelta

import pytest

from services.reminders.rules.ladder import window_of
from shared.contract.closed_sets import SessionState
from tests.facts.billing import prepayment_required
from tests.facts.booking import (
    course_accepted,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
)
from tests.facts.clinic import companion, contact_updated
from tests.facts.course import COMPANION, DAY, HOUR, NOW, PATIENT, start
from tests.stand_ins.reminders_story import PRE_VISIT, STELLA, WAITING, K, Story, listed, says, told


def test_a_move_is_told_with_the_old_time_and_the_new() -> None:
    story = listed()
    story.hear(
        session_rescheduled(1, starts_at=start(1) + DAY, state=SessionState.CONFIRMED, companions=(COMPANION,)),
        NOW + HOUR,
    )

    assert "Tue Mar 10 10:00 AM is now on Wed Mar 11 at 10:00 AM" in says(story, K.MOVED)
    assert {t.contact_id for t in story.texts(WAITING) if t.kind is K.MOVED} == {PATIENT, COMPANION}


def test_who_waits_for_the_list_of_dates_is_told_of_no_move() -> None:
    story = told(
        contact_updated(),
        course_accepted(1),
        session_confirmed(1),
        session_rescheduled(1, starts_at=start(1) + DAY, state=SessionState.CONFIRMED),
    )

    assert K.MOVED not in story.kinds()
    assert "Wed Mar 11" in says(story, K.BOOKED)


def test_a_second_move_before_the_first_was_told_starts_from_what_the_person_knows() -> None:
    story = listed()
    story.hear(session_rescheduled(1, starts_at=start(1) + DAY, state=SessionState.CONFIRMED), NOW + 14 * HOUR)
    story.hear(
        session_rescheduled(1, starts_at=start(1) + 2 * DAY, state=SessionState.CONFIRMED, version=4), NOW + 15 * HOUR
    )

    assert "Tue Mar 10 10:00 AM is now on Thu Mar 12" in says(story, K.MOVED)


def test_a_missed_session_that_gets_another_date_is_told() -> None:
    story = listed()
    story.hear(session_missed(1), start(1) + HOUR)
    story.hear(
        session_rescheduled(1, starts_at=start(1) + 9 * DAY, state=SessionState.CONFIRMED, version=4), start(1) + DAY
    )

    assert "Tue Mar 10 10:00 AM is now on Thu Mar 19" in says(story, K.MOVED)


def test_a_move_told_from_the_start_on_would_be_useless() -> None:
    story = listed()
    story.hear(session_rescheduled(1, starts_at=NOW + 6 * HOUR, state=SessionState.CONFIRMED), NOW + HOUR)

    assert story.text(K.MOVED).deadline_at == NOW + 6 * HOUR


def test_sessions_that_are_cancelled_together_are_one_text() -> None:
    story = listed()
    story.hear(session_cancelled(1), NOW + HOUR)
    story.hear(session_cancelled(2), NOW + HOUR)

    assert "cancelled: Tue Mar 10 10:00 AM, Thu Mar 12 10:00 AM." in says(story, K.CANCELLED)


def test_what_is_cancelled_after_the_text_went_out_has_a_text_of_its_own() -> None:
    story = listed()
    story.hear(session_cancelled(1), NOW + HOUR)
    story.attempted(K.CANCELLED)
    story.hear(session_cancelled(2), NOW + 2 * HOUR)

    assert "cancelled: Thu Mar 12 10:00 AM." in says(story, K.CANCELLED)


def test_a_cancellation_names_the_date_that_the_person_knows() -> None:
    story = listed()
    story.hear(session_rescheduled(1, starts_at=start(1) + DAY, state=SessionState.CONFIRMED), NOW + 14 * HOUR)
    story.hear(session_cancelled(1, version=4, starts_at=start(1) + DAY), NOW + 15 * HOUR)

    assert "cancelled: Tue Mar 10 10:00 AM." in says(story, K.CANCELLED)


def test_a_hold_that_is_given_up_is_told_in_one_text() -> None:
    story = told(contact_updated(), course_accepted(2), session_released(1), session_released(2))

    assert story.kinds(WAITING) == [K.RELEASED]
    assert "Tue Mar 10 10:00 AM, Thu Mar 12 10:00 AM" in says(story, K.RELEASED)


def test_a_companion_learns_when_and_where_and_nothing_else() -> None:
    both = (COMPANION,)
    story = told(
        contact_updated(), companion(), course_accepted(1, companions=both), session_confirmed(1, companions=both)
    )

    assert [t.kind for t in story.texts() if t.contact_id == COMPANION] == [K.COMPANION_NOTICE]
    body = says(story, K.COMPANION_NOTICE, COMPANION)
    assert "Tue Mar 10 10:00 AM, Chicago, Illinois" in body
    assert "STOP" in body


def test_a_companion_who_comes_in_later_learns_of_the_dates_then() -> None:
    story = told(contact_updated(), course_accepted(1), session_confirmed(1))
    change = session_confirmed(1, version=3, companions=(COMPANION,))
    story.hear(change, NOW + DAY)

    assert story.text(K.COMPANION_NOTICE).nominal_at == NOW + DAY


def test_a_companion_who_was_never_told_a_date_hears_of_no_cancellation() -> None:
    both = (COMPANION,)
    story = told(
        contact_updated(), course_accepted(1, companions=both), session_cancelled(1, version=2, companions=both)
    )

    assert {t.contact_id for t in story.texts(WAITING) if t.kind is K.CANCELLED} == {PATIENT}


def test_the_last_session_of_an_induction_brings_the_evaluation_and_later_the_next_visit() -> None:
    story = listed()
    story.hear(session_completed(1), start(1) + HOUR)
    assert K.EVALUATION not in story.kinds()
    story.hear(session_completed(2), start(2) + HOUR)

    assert story.text(K.EVALUATION).nominal_at == start(2) + HOUR + 2 * DAY
    assert story.text(K.BOOSTER_DUE).nominal_at == start(2) + HOUR + 28 * DAY


def test_all_that_was_planned_is_useful_for_a_while() -> None:
    story = listed()
    story.hear(session_cancelled(1), start(1) - timedelta(seconds=30))

    assert all(text.nominal_at < text.deadline_at for text in story.texts())
    assert K.CANCELLED not in story.kinds()


def test_the_first_confirmation_plans_the_list_of_dates_and_the_ladder() -> None:
    story = told(contact_updated(), course_accepted(2), session_confirmed(1))

    assert story.kinds() == [K.BOOKED, *PRE_VISIT]
    begins = start(1)
    assert [t.nominal_at for t in story.texts()][1:] == [begins - 72 * HOUR, begins - 24 * HOUR, begins - 2 * HOUR]
    assert {t.session_version for t in story.texts() if t.kind in PRE_VISIT} == {2}
    assert {t.contact_id for t in story.texts()} == {PATIENT}


def test_a_second_confirmation_lists_the_dates_no_second_time() -> None:
    story = told(contact_updated(), course_accepted(2), session_confirmed(1), session_confirmed(2))

    assert story.kinds().count(K.BOOKED) == 1
    assert story.kinds().count(K.DAY_OF) == 2


def test_nothing_is_planned_while_a_session_is_only_held() -> None:
    assert told(contact_updated(), course_accepted(2)).texts() == []


def test_a_session_confirmed_late_gets_the_texts_that_still_make_sense() -> None:
    """Of what should have gone out already the last is still of use: it makes up for what came before it."""
    for hours, kinds in [
        (73, [K.BOOKED, K.PREPARATION, K.DAY_BEFORE, K.DAY_OF]),
        (30, [K.PREPARATION, K.BOOKED, K.DAY_BEFORE, K.DAY_OF]),
        (20, [K.DAY_BEFORE, K.BOOKED, K.DAY_OF]),
        (3, [K.BOOKED, K.DAY_OF]),
        (1, [K.DAY_OF, K.BOOKED]),
        (0.25, [K.BOOKED]),
    ]:
        story, now = told(contact_updated(), course_accepted(1)), start(1) - hours * HOUR
        story.hear(session_confirmed(1), now)

        assert story.kinds() == kinds, hours
        assert all(text.due_at >= now for text in story.texts())


def test_the_end_of_a_treatment_plans_after_care() -> None:
    story = told(contact_updated(), course_accepted(2), session_confirmed(1))
    story.attempted(K.BOOKED)
    ended = start(1) + HOUR

    story.hear(session_completed(1, started_at=start(1), ended_at=ended), ended)

    assert story.kinds(WAITING) == [K.AFTER_CARE, K.NEXT_DAY]
    assert story.text(K.AFTER_CARE).nominal_at == ended + 2 * HOUR
    assert story.text(K.NEXT_DAY).nominal_at == ended + 20 * HOUR


def test_six_demands_of_one_day_make_one_payment_text() -> None:
    story = told(contact_updated(), course_accepted(6), *(prepayment_required(n) for n in range(1, 7)))

    assert story.kinds() == [K.PAYMENT_DUE]
    assert story.text(K.PAYMENT_DUE).due_at == NOW


def test_a_demand_of_the_next_day_makes_a_text_of_its_own() -> None:
    story = told(contact_updated(), course_accepted(2), prepayment_required(1))
    story.hear(prepayment_required(2), NOW + DAY)

    assert story.kinds() == [K.PAYMENT_DUE, K.PAYMENT_DUE]


@pytest.mark.parametrize(("region", "hour"), [(None, 20), ("US-IL", 20), ("US-RI", 18)])
def test_of_somebody_whose_zone_nobody_knows_the_narrowest_hours_count(region: str | None, hour: int) -> None:
    story = Story()
    story.hear(contact_updated(time_zone="America/Springfield", region=region))
    window = window_of(story.contacts[PATIENT], STELLA)

    assert window.zone == STELLA.location.tz
    assert window.closes_after(NOW).astimezone(window.zone).hour == hour
    assert not window.allows(NOW - HOUR - timedelta(minutes=1))
