"""Moves, ends, companions, and what follows a course: who is told what, and that nobody is told twice."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.reminders.rules.last_look import wording_of
from services.reminders.text.text import TextState
from shared.contract.booking import (
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
)
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import By, ReleaseReason, SessionState, SuppressedReason, TextKind
from shared.contract.register import EventData
from tests.reminders_story import (
    COMPANION,
    DAY,
    HOUR,
    MONDAY,
    PATIENT,
    PLACES,
    Story,
    accepted,
    contact,
    session_event,
    starts_at,
)

K = TextKind
WAITING = TextState.SCHEDULED
S = SessionState


def confirmed(number: int = 1, version: int = 2, **more: Any) -> EventData:
    return session_event(SessionConfirmed, number, S.CONFIRMED, version, grant=1, **more)


def moved(start: datetime, version: int = 3, number: int = 1, **more: Any) -> EventData:
    return session_event(
        SessionRescheduled,
        number,
        S.CONFIRMED,
        version,
        start,
        previous_starts_at=starts_at(number),
        by=By.PATIENT,
        **more,
    )


def cancelled(number: int = 1, version: int = 3, start: datetime | None = None, **more: Any) -> EventData:
    return session_event(SessionCancelled, number, S.CANCELLED, version, start, by=By.PATIENT, **more)


def released(number: int = 1, version: int = 2) -> EventData:
    return session_event(SessionReleased, number, S.RELEASED, version, grant=0, reason=ReleaseReason.HOLD_EXPIRED)


def completed(number: int, version: int = 4) -> EventData:
    start = starts_at(number)
    return session_event(SessionCompleted, number, S.COMPLETED, version, started_at=start, ended_at=start + HOUR)


def companion() -> ContactUpdated:
    return contact(contact_id=COMPANION, phone="+13125550102")


def told(*events: EventData) -> Story:
    story = Story()
    for event in events:
        story.hear(event)
    return story


def listed() -> Story:
    """Two confirmed sessions, and everybody has got the list of dates."""
    both = (COMPANION,)
    story = told(contact(), companion(), accepted(1, 2, companions=both))
    story.hear(confirmed(1, companions=both))
    story.hear(confirmed(2, companions=both))
    story.attempted(K.BOOKED)
    story.attempted(K.COMPANION_NOTICE)
    return story


def says(story: Story, kind: TextKind, person: str = PATIENT) -> str:
    assert story.course is not None
    (text,) = (t for t in story.texts(WAITING) if t.kind is kind and t.contact_id == person)
    return wording_of(text, story.course, story.contacts.get(person), PLACES["stella"])


def test_a_move_is_told_with_the_old_time_and_the_new() -> None:
    story = listed()
    story.hear(moved(starts_at(1) + DAY, companions=(COMPANION,)), MONDAY + HOUR)

    assert "Mon Mar 16 10:00 AM is now on Tue Mar 17 at 10:00 AM" in says(story, K.MOVED)
    assert {t.contact_id for t in story.texts(WAITING) if t.kind is K.MOVED} == {PATIENT, COMPANION}


def test_who_waits_for_the_list_of_dates_is_told_of_no_move() -> None:
    story = told(contact(), accepted(1), confirmed(1), moved(starts_at(1) + DAY))

    assert K.MOVED not in story.kinds()
    assert "Tue Mar 17" in says(story, K.BOOKED)


def test_a_second_move_before_the_first_was_told_starts_from_what_the_person_knows() -> None:
    story = listed()
    story.hear(moved(starts_at(1) + DAY), MONDAY + 13 * HOUR)
    story.hear(moved(starts_at(1) + 2 * DAY, version=4), MONDAY + 14 * HOUR)

    assert "Mon Mar 16 10:00 AM is now on Wed Mar 18" in says(story, K.MOVED)


def test_a_move_that_is_taken_back_before_it_was_told_is_told_to_nobody() -> None:
    story = listed()
    story.hear(moved(starts_at(1) + DAY), MONDAY + 13 * HOUR)
    story.hear(moved(starts_at(1), version=4), MONDAY + 14 * HOUR)

    assert K.MOVED not in story.kinds(WAITING)


def test_a_missed_session_that_gets_another_date_is_told() -> None:
    story = listed()
    story.hear(session_event(SessionMissed, 1, S.MISSED, 3), starts_at(1) + HOUR)
    story.hear(moved(starts_at(1) + 9 * DAY, version=4), starts_at(1) + DAY)

    assert "Mon Mar 16 10:00 AM is now on Wed Mar 25" in says(story, K.MOVED)


def test_a_move_told_from_the_start_on_would_be_useless() -> None:
    story = listed()
    story.hear(moved(MONDAY + 6 * HOUR), MONDAY + HOUR)

    assert story.text(K.MOVED).deadline_at == MONDAY + 6 * HOUR


def test_sessions_that_are_cancelled_together_are_one_text() -> None:
    story = listed()
    story.hear(cancelled(1), MONDAY + HOUR)
    story.hear(cancelled(2), MONDAY + HOUR)

    assert "cancelled: Mon Mar 16 10:00 AM, Mon Mar 23 10:00 AM." in says(story, K.CANCELLED)


def test_what_is_cancelled_after_the_text_went_out_has_a_text_of_its_own() -> None:
    story = listed()
    story.hear(cancelled(1), MONDAY + HOUR)
    story.attempted(K.CANCELLED)
    story.hear(cancelled(2), MONDAY + 2 * HOUR)

    assert "cancelled: Mon Mar 23 10:00 AM." in says(story, K.CANCELLED)


def test_a_cancellation_names_the_date_that_the_person_knows() -> None:
    story = listed()
    story.hear(moved(starts_at(1) + DAY), MONDAY + 13 * HOUR)
    story.hear(cancelled(1, version=4, start=starts_at(1) + DAY), MONDAY + 14 * HOUR)

    assert "cancelled: Mon Mar 16 10:00 AM." in says(story, K.CANCELLED)


def test_a_hold_that_is_given_up_is_told_in_one_text() -> None:
    story = told(contact(), accepted(1, 2), released(1), released(2))

    assert story.kinds(WAITING) == [K.RELEASED]
    assert "Mon Mar 16 10:00 AM, Mon Mar 23 10:00 AM" in says(story, K.RELEASED)


def test_late_money_takes_the_news_of_the_release_back_for_the_places_that_it_got_again() -> None:
    story = told(contact(), accepted(1, 2), released(1), released(2), confirmed(1, version=3))

    assert "hold these appointments: Mon Mar 23 10:00 AM." in says(story, K.RELEASED)
    story.hear(confirmed(2, version=3))
    assert K.RELEASED not in story.kinds(WAITING)


def test_a_companion_learns_when_and_where_and_nothing_else() -> None:
    both = (COMPANION,)
    story = told(contact(), companion(), accepted(1, companions=both), confirmed(1, companions=both))

    assert [t.kind for t in story.texts() if t.contact_id == COMPANION] == [K.COMPANION_NOTICE]
    body = says(story, K.COMPANION_NOTICE, COMPANION)
    assert "Mon Mar 16 10:00 AM, Chicago, Illinois" in body
    assert "STOP" in body


def test_a_companion_who_comes_in_later_learns_of_the_dates_then() -> None:
    story = told(contact(), accepted(1), confirmed(1))
    change = confirmed(1, version=3, companions=(COMPANION,))
    story.hear(change, MONDAY + DAY)

    assert story.text(K.COMPANION_NOTICE).nominal_at == MONDAY + DAY


def test_a_companion_who_comes_along_no_more_is_told_nothing_more() -> None:
    both = (COMPANION,)
    story = told(contact(), accepted(1, companions=both), confirmed(1, companions=both), confirmed(1, version=3))

    notice = story.text(K.COMPANION_NOTICE)
    assert (notice.state, notice.reason) == (TextState.SUPPRESSED, SuppressedReason.SUPERSEDED)


def test_a_companion_who_was_never_told_a_date_hears_of_no_cancellation() -> None:
    both = (COMPANION,)
    story = told(contact(), accepted(1, companions=both), cancelled(1, version=2, companions=both))

    assert {t.contact_id for t in story.texts(WAITING) if t.kind is K.CANCELLED} == {PATIENT}


def test_the_last_session_of_an_induction_brings_the_evaluation_and_later_the_next_visit() -> None:
    story = listed()
    story.hear(completed(1), starts_at(1) + HOUR)
    assert K.EVALUATION not in story.kinds()
    story.hear(completed(2), starts_at(2) + HOUR)

    assert story.text(K.EVALUATION).nominal_at == starts_at(2) + HOUR + 2 * DAY
    assert story.text(K.BOOSTER_DUE).nominal_at == starts_at(2) + HOUR + 28 * DAY


def test_a_course_of_which_nothing_took_place_brings_no_evaluation() -> None:
    story = listed()
    story.hear(cancelled(1))
    story.hear(cancelled(2))

    assert not {K.EVALUATION, K.BOOSTER_DUE} & set(story.kinds())


def test_a_course_that_goes_on_after_its_end_is_evaluated_at_its_second_end() -> None:
    story = listed()
    story.hear(completed(1), starts_at(1) + HOUR)
    story.hear(session_event(SessionMissed, 2, S.MISSED, 3), starts_at(2) + HOUR)
    first_end = story.text(K.EVALUATION).nominal_at
    again = starts_at(2) + 7 * DAY
    story.hear(session_event(SessionConfirmed, 2, S.CONFIRMED, 4, again, grant=1), starts_at(2) + DAY)
    assert story.text(K.EVALUATION).state is TextState.SUPPRESSED
    story.hear(
        session_event(SessionCompleted, 2, S.COMPLETED, 5, again, started_at=again, ended_at=again + HOUR), again
    )

    evaluation = story.text(K.EVALUATION)
    assert evaluation.state is WAITING
    assert evaluation.nominal_at == again + HOUR + 2 * DAY > first_end


@pytest.mark.parametrize(("locale", "words"), [("es-US", "Siga su hoja"), ("en-US", "Please follow"), ("fr", "Please")])
def test_everybody_is_texted_in_their_language_or_the_clinics_own(locale: str, words: str) -> None:
    story = told(contact(locale=locale), accepted(1), confirmed(1))

    assert words in says(story, K.DAY_BEFORE)


def test_nobody_is_asked_for_a_driver_where_none_is_needed() -> None:
    story = told(contact(), accepted(1), confirmed(1))
    assert "take you home" in says(story, K.DAY_OF)
    assert story.course is not None
    story.course = story.course._replace(treatment="consultation")

    assert "take you home" not in says(story, K.DAY_OF)


def test_all_that_was_planned_is_useful_for_a_while() -> None:
    story = listed()
    story.hear(cancelled(1), starts_at(1) - timedelta(seconds=30))

    assert all(text.nominal_at < text.deadline_at for text in story.texts())
    assert K.CANCELLED not in story.kinds()
