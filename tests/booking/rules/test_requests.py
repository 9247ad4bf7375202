"""Requests: a course is held whole or not at all, once; and it is cancelled, whole or by the session."""

from datetime import date, timedelta

import pytest

from services.booking.rules.course import CourseState
from shared.contract.booking import CourseAccepted, CourseClosed, CourseRejected
from shared.contract.clinic import CourseRequested, RequestedSession
from shared.contract.closed_sets import By, Payer, Refusal
from shared.contract.register import EventData
from tests.facts.clinic import (
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    plan_requested,
    session_cancel_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NEXT_MONDAY, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import PLACES, STELLA, room, with_hours
from tests.stand_ins.booking_story import Story, accepted, confirmed, names, refused


def test_a_course_of_six_is_held_whole() -> None:
    story = Story()
    [event] = story.tell(course_requested(6, package="induction", companions=("driver",)))
    assert isinstance(event, CourseAccepted)
    assert (event.package, event.companions, event.payer) == ("induction", ("driver",), Payer.SELF_PAY)
    assert [(s.number, s.of, s.version, s.state) for s in event.sessions] == [(n, 6, 1, "held") for n in range(1, 7)]
    assert [s.starts_at for s in event.sessions] == [start(n) for n in range(1, 7)]
    assert {s.ends_at - s.starts_at for s in event.sessions} == {timedelta(minutes=105)}
    assert {(s.chair, s.provider, s.time_zone) for s in event.sessions} == {
        ("chair-1", "provider-1", "America/Chicago")
    }


@pytest.mark.parametrize(("payer", "hours"), [(Payer.SELF_PAY, 72), (Payer.INSURANCE, 168)])
def test_the_hold_is_as_long_as_the_clinic_says_for_the_payer(payer: Payer, hours: int) -> None:
    story = accepted(payer=payer)
    assert story.course().hold_expires_at == NOW + hours * HOUR
    assert story.timers == {(str(COURSE), "hold", ""): NOW + hours * HOUR}


def test_the_hold_never_lasts_past_the_first_start() -> None:
    story = Story(now=start(1) - HOUR)
    story.tell(course_requested())
    assert story.course().hold_expires_at == start(1)


def test_numbers_follow_time_whatever_the_order_of_the_wishes() -> None:
    wishes = tuple(RequestedSession(session_id=session_id(n), starts_at=start(n)) for n in (3, 1, 2))
    story = Story()
    story.tell(course_requested().model_copy(update={"sessions": wishes}))
    assert [(s.number, s.session_id) for s in story.course().sessions] == [(n, session_id(n)) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"location": "nowhere"}, Refusal.UNKNOWN_LOCATION),
        ({"treatment": "leeches"}, Refusal.UNKNOWN_TREATMENT),
    ],
)
def test_what_the_clinic_does_not_have_is_refused_by_name(told: dict[str, object], code: Refusal) -> None:
    story = Story()
    [event] = story.tell(CourseRequested.model_validate(course_requested().model_dump() | told))
    assert isinstance(event, CourseRejected)
    assert (event.code, [c.code for c in event.conflicts]) == (code, [code])
    assert story.course().state is CourseState.REJECTED


def test_one_taken_session_rejects_the_whole_course_and_takes_nothing() -> None:
    story = Story(room(1))
    story.tell(course_requested(1, OTHER))
    [event] = story.tell(course_requested(3))
    assert isinstance(event, CourseRejected)
    assert [(c.session_id, c.code) for c in event.conflicts] == [(session_id(1), Refusal.CHAIR_TAKEN)]
    assert story.course().sessions == ()
    assert story.timers.keys() == {(str(OTHER), "hold", "")}


def test_the_same_request_again_has_no_effect() -> None:
    story = accepted()
    before = story.course()
    assert story.tell(course_requested()) == []
    assert story.course() is before


def test_the_same_request_again_has_no_effect_after_the_course_has_ended() -> None:
    story = confirmed(1)
    story.tell(treatment_completed())
    assert story.tell(course_requested(1)) == []
    assert story.course().state is CourseState.COMPLETED


def test_the_same_course_id_with_other_content_is_refused() -> None:
    story = accepted()
    before = story.course()
    assert refused(story.tell(course_requested(companions=("driver",)))) is Refusal.COURSE_EXISTS
    assert story.course() is before


def test_a_rejected_course_may_be_asked_again() -> None:
    story = Story(room(1))
    story.tell(course_requested(1, OTHER))
    story.tell(course_requested(1))
    story.tell(course_cancel_requested(course=OTHER))
    assert names(story.tell(course_requested(1))) == ["course.accepted"]
    assert story.states() == ["held"]


def test_a_rejected_course_may_be_asked_again_with_other_content() -> None:
    story = Story()
    story.tell(course_requested(location="nowhere"))
    assert names(story.tell(course_requested())) == ["course.accepted"]


def test_cancelling_a_course_frees_what_has_not_begun() -> None:
    story = confirmed(3, room(1))
    story.now = start(1)
    story.tell(patient_checked_in(1))
    assert names(story.tell(course_cancel_requested())) == ["session.cancelled", "session.cancelled"]
    assert story.states() == ["checked_in", "cancelled", "cancelled"]
    story.tell(treatment_completed(1))
    assert story.course().state is CourseState.COMPLETED
    assert story.timers == {}


def test_a_cancelled_course_is_closed_and_its_chairs_are_free_again() -> None:
    story = accepted(2, room(1))
    *_, end = story.tell(course_cancel_requested())
    assert isinstance(end, CourseClosed)
    assert end.reason == "cancelled"
    assert story.timers == {}
    assert names(story.tell(course_requested(2, OTHER))) == ["course.accepted"]


def test_a_course_that_is_over_cannot_be_cancelled() -> None:
    story = confirmed(1)
    story.tell(treatment_completed())
    assert refused(story.tell(course_cancel_requested())) is Refusal.WRONG_STATE


def test_cancelling_one_session_leaves_the_others() -> None:
    story = confirmed(2)
    [event] = story.tell(session_cancel_requested(1).model_copy(update={"by": By.CLINIC}))
    assert (event.model_dump()["by"], story.states()) == ("clinic", ["cancelled", "confirmed"])
    assert (str(COURSE), "unreported", str(session_id(1))) not in story.timers


@pytest.mark.parametrize(
    "before",
    [[patient_checked_in()], [treatment_completed()], [patient_missed()], [session_cancel_requested(1)]],
    ids=lambda facts: facts[0].type,
)
def test_a_session_that_has_begun_or_ended_cannot_be_cancelled(before: list[EventData]) -> None:
    story = confirmed(2)
    story.now = start(1)
    for fact in before:
        story.tell(fact)
    assert refused(story.tell(session_cancel_requested(1))) is Refusal.WRONG_STATE


def rejected(events: list[EventData]) -> CourseRejected:
    [event] = events
    assert isinstance(event, CourseRejected)
    return event


def test_the_same_plan_again_has_no_effect() -> None:
    story = Story()
    story.tell(plan_requested())
    assert story.tell(plan_requested()) == []


def test_what_cannot_be_planned_whole_holds_nothing_and_names_the_nearest_start() -> None:
    week = [NEXT_MONDAY + n * DAY for n in range(7)]
    closed = with_hours(STELLA, ("08:00", "19:00"), holidays=week)
    story = Story(PLACES | {"stella": closed})
    event = rejected(story.tell(plan_requested()))
    assert event.code is Refusal.NO_PLAN_FOUND
    assert event.nearest_start is not None
    assert closed.location.local(event.nearest_start).date() == date(2026, 3, 16)
    assert story.course().state is CourseState.REJECTED
    assert story.course().sessions == ()
    again = plan_requested(event.nearest_start.date())
    assert names(story.tell(again)) == ["course.accepted"]
    assert story.session().starts_at == event.nearest_start


def test_a_plan_for_which_there_is_never_a_place_names_no_start() -> None:
    event = rejected(Story().tell(plan_requested(earliest="18:00")))
    assert (event.code, event.nearest_start) == (Refusal.NO_PLAN_FOUND, None)


def test_a_plan_that_begins_in_the_past_is_refused_with_the_nearest_start() -> None:
    event = rejected(Story().tell(plan_requested(date(2026, 3, 1))))
    assert event.code is Refusal.IN_PAST
    assert event.nearest_start is not None
    assert event.nearest_start > NOW


@pytest.mark.parametrize(
    ("place", "told", "code"),
    [
        ("albany", {"treatment": "spravato"}, Refusal.RECORD_MISSING),
        ("albany", {"treatment": "sgb", "count": 3}, Refusal.WRONG_COUNT),
        ("albany", {"treatment": "consultation", "count": 2}, Refusal.WRONG_COUNT),
        ("sturges", {}, Refusal.COMPANION_MISSING),
    ],
)
def test_what_the_protocol_needs_is_asked_of_a_plan_too(place: str, told: dict[str, object], code: Refusal) -> None:
    event = rejected(Story().tell(plan_requested(location=place, **told)))
    assert (event.code, event.nearest_start) == (code, None)
