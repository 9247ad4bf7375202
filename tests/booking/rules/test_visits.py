"""Visits: only who is confirmed is let in, and what the floor tells is a fact."""

from datetime import timedelta

import pytest

from services.booking.rules.course import CourseState
from shared.contract.booking import (
    RequestRejected,
    SessionCheckInRefused,
    SessionCompleted,
)
from shared.contract.closed_sets import Refusal
from shared.contract.register import EventData
from tests.facts.billing import prepayment_overdue, prepayment_satisfied
from tests.facts.clinic import (
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, HOUR, session_id, start
from tests.stand_ins.booking_story import Story, accepted, confirmed, names


def test_who_stood_at_the_desk_of_a_released_session_is_let_in_when_the_money_comes() -> None:
    story = accepted(2)
    story.tell(prepayment_satisfied(2))
    story.tell(prepayment_overdue(1), start(1) - HOUR)
    [event] = story.tell(patient_checked_in(1), start(1) - HOUR)
    assert event.model_dump()["reason"] == Refusal.NOT_PAID
    assert names(story.tell(prepayment_satisfied(1), start(1) - HOUR)) == ["session.confirmed", "session.checked_in"]


def desk_refuses(events: list[EventData]) -> Refusal:
    [event] = events
    assert isinstance(event, SessionCheckInRefused)
    return event.reason


def test_check_in_opens_twelve_hours_before_the_start() -> None:
    story = confirmed(1)
    opens = start(1) - 12 * HOUR
    assert desk_refuses(story.tell(patient_checked_in(), opens - timedelta(seconds=1))) is Refusal.TOO_EARLY
    assert names(story.tell(patient_checked_in(), opens)) == ["session.checked_in"]


def test_check_in_closes_when_the_session_ends() -> None:
    story = confirmed(2)
    ends_at = story.session(1).ends_at
    assert desk_refuses(story.tell(patient_checked_in(), ends_at + timedelta(seconds=1))) is Refusal.WRONG_STATE
    assert names(story.tell(patient_checked_in(), ends_at)) == ["session.checked_in"]


def test_who_came_too_early_is_not_remembered() -> None:
    story = accepted(1)
    story.tell(patient_checked_in(), start(1) - 13 * HOUR)
    assert names(story.tell(prepayment_satisfied())) == ["session.confirmed"]


def test_an_unpaid_check_in_is_refused_remembered_and_follows_the_money() -> None:
    story = Story(now=start(1) - HOUR)
    story.tell(course_requested(1))
    assert desk_refuses(story.tell(patient_checked_in())) is Refusal.NOT_PAID
    assert names(story.tell(prepayment_satisfied(), start(1))) == ["session.confirmed", "session.checked_in"]
    assert story.states() == ["checked_in"]


def test_money_after_the_sessions_end_checks_nobody_in() -> None:
    story = accepted(2)
    story.tell(prepayment_satisfied(2))
    story.tell(patient_checked_in(), start(1))
    assert names(story.tell(prepayment_satisfied(1), story.session().ends_at + HOUR)) == ["session.confirmed"]


def test_a_check_in_for_another_time_is_stale() -> None:
    story = confirmed(1)
    fact = patient_checked_in(1, starts_at=start(2))
    assert desk_refuses(story.tell(fact, start(1))) is Refusal.STALE
    assert names(story.tell(patient_checked_in(1, starts_at=start(1)), start(1))) == ["session.checked_in"]


@pytest.mark.parametrize(
    "before",
    [patient_checked_in(), treatment_completed(), patient_missed(), session_cancel_requested(1)],
    ids=lambda fact: fact.type,
)
def test_who_is_in_the_chair_or_done_cannot_check_in(before: EventData) -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(before)
    assert desk_refuses(story.tell(patient_checked_in())) is Refusal.WRONG_STATE


def test_a_completed_treatment_is_told_with_its_start_and_stop() -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(patient_checked_in())
    [event] = story.tell(treatment_completed())
    assert isinstance(event, SessionCompleted)
    assert (event.started_at, event.ended_at) == (treatment_completed().started_at, treatment_completed().ended_at)
    assert story.attention == []


@pytest.mark.parametrize(
    ("before", "was"),
    [
        ([], "held"),
        ([prepayment_overdue()], "released"),
        ([patient_missed()], "missed"),
        ([session_cancel_requested(1)], "cancelled"),
    ],
)
def test_an_unpaid_completion_is_a_fact_and_goes_to_a_person(before: list[EventData], was: str) -> None:
    story = accepted(2)
    for fact in before:
        story.tell(fact, start(1))
    assert names(story.tell(treatment_completed(), start(1) + HOUR)) == ["session.completed"]
    assert [(a.kind, a.subject, a.detail) for a in story.attention] == [
        ("unexpected_completion", str(session_id(1)), f"completed while {was}")
    ]


def test_a_session_cannot_be_completed_twice() -> None:
    story = confirmed(1)
    story.tell(treatment_completed())
    [event] = story.tell(treatment_completed())
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.WRONG_STATE


def test_a_missed_session_is_told() -> None:
    story = confirmed(2)
    assert names(story.tell(patient_missed(1, starts_at=start(1)))) == ["session.missed"]
    assert (str(COURSE), "unreported", str(session_id(1))) not in story.timers


def test_a_session_missed_at_another_time_is_stale() -> None:
    story = confirmed(1)
    [event] = story.tell(patient_missed(1, starts_at=start(2)))
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.STALE


def test_who_is_in_the_chair_cannot_be_missed() -> None:
    story = confirmed(1)
    story.tell(patient_checked_in(), start(1))
    [event] = story.tell(patient_missed())
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.WRONG_STATE


def test_a_session_of_which_nothing_is_told_twelve_hours_after_its_end_goes_to_a_person() -> None:
    story = confirmed(1)
    due_at = story.session().ends_at + 12 * HOUR
    story.deliver(due_at - HOUR)
    assert story.attention == []
    story.deliver(due_at)
    assert [(a.kind, a.subject) for a in story.attention] == [("unreported_session", str(session_id(1)))]


def test_a_treatment_that_turns_out_to_have_been_given_completes_a_closed_course() -> None:
    story = confirmed(1)
    story.tell(course_cancel_requested())
    assert names(story.tell(treatment_completed(1))) == ["session.completed", "course.completed"]
    assert story.course().state is CourseState.COMPLETED
