"""Closures: one request lists and moves the sessions concerned, each with its own result."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.booking.chairs.location import ChairPlan
from services.booking.rules.closures import Closure, ClosureRequested
from shared.contract.booking import CourseRejected, SessionRescheduled
from shared.contract.closed_sets import Refusal
from shared.contract.register import EventData
from shared.contract.topics import CLINIC_TOPICS
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import (
    course_requested,
    patient_checked_in,
    session_cancel_requested,
    session_reschedule_requested,
)
from tests.facts.course import COURSE, DAY, HOUR, OTHER, session_id, start
from tests.stand_ins.booking_places import PLACES, STELLA, room
from tests.stand_ins.booking_story import DAY_ONE, Story, accepted, closure, confirmed, names


def close(story: Story, wish: EventData | None = None) -> list[EventData]:
    """What follows from a closure at once, message after message."""
    assert story.tell(wish or closure()) == []
    return story.deliver(story.now)


def concerned(story: Story) -> list[UUID]:
    found = story.closures[closure().key]
    assert isinstance(found, Closure)
    return [taken.session_id for taken in found.concerned]


def test_a_closed_day_moves_each_of_its_sessions_by_a_message_of_its_own() -> None:
    story = confirmed(2, room(2))
    story.tell(course_requested(1, OTHER))
    assert story.tell(closure()) == []
    assert set(concerned(story)) == {session_id(1), session_id(1, OTHER)}
    assert {course for course, kind, _ in story.timers if kind == "displaced"} == {str(COURSE), str(OTHER)}
    events = story.deliver(story.now)
    assert names(events) == ["session.rescheduled", "session.rescheduled"]
    for event in events:
        assert isinstance(event, SessionRescheduled)
        assert (event.previous_starts_at, event.by) == (start(1), "clinic")
        assert STELLA.location.local(event.starts_at).date() > STELLA.location.local(start(1)).date()
    assert story.states() == ["confirmed", "confirmed"]


def test_a_moved_session_keeps_the_rhythm_of_its_series() -> None:
    """The next day is a day before the second session: it would do; but the day after that is too close."""
    story = confirmed(2)
    [event] = close(story, closure(ends=DAY_ONE + 2 * DAY))
    assert isinstance(event, SessionRescheduled)
    assert event.starts_at - start(2) >= DAY


@pytest.mark.parametrize("what", ["chair", "provider"])
def test_a_broken_pump_or_an_ill_provider_changes_the_chair_or_the_provider_and_not_the_time(what: str) -> None:
    story = confirmed(1, room(2))
    before = story.session()
    [event] = close(story, closure(**{what: f"{what}-1"}))
    assert isinstance(event, SessionRescheduled)
    assert (event.starts_at, event.previous_starts_at) == (before.starts_at, before.starts_at)
    after = (event.chair, event.provider)
    assert after == (("chair-2", "provider-1") if what == "chair" else ("chair-1", "provider-2"))


def test_where_no_other_chair_is_free_the_time_changes() -> None:
    story = confirmed(1, room(1))
    [event] = close(story, closure(chair="chair-1"))
    assert isinstance(event, SessionRescheduled)
    assert event.starts_at >= DAY_ONE + DAY


def test_only_who_sits_in_the_stretch_is_concerned() -> None:
    story = confirmed(2, room(2))
    ends = story.session().ends_at
    assert close(story, closure(ends, ends + HOUR)) == []
    assert close(story, closure(start(1) - HOUR, start(1), 2)) == []
    assert close(story, closure(number=3, chair="chair-2")) == []
    assert story.closures.keys() == {f"closure/{UUID(int=n)}" for n in (1, 2, 3)}
    assert story.session().starts_at == start(1)


def test_a_session_for_which_there_is_no_place_stays_and_goes_to_a_person() -> None:
    story = confirmed(2)
    assert close(story, closure(ends=DAY_ONE + 30 * DAY)) == []
    assert story.states() == ["confirmed", "confirmed"]
    assert [(a.kind, a.subject) for a in story.attention] == [
        ("closure_unmoved", str(session_id(1))),
        ("closure_unmoved", str(session_id(2))),
    ]


def test_who_is_in_the_chair_or_was_moved_or_cancelled_meanwhile_is_left_alone() -> None:
    story = confirmed(3)
    story.now = start(1)
    story.tell(patient_checked_in(1))
    story.tell(closure(ends=DAY_ONE + 8 * DAY))
    assert concerned(story) == [session_id(n) for n in (1, 2, 3)]
    story.tell(session_reschedule_requested(3, start(3) + 2 * DAY))
    story.tell(session_cancel_requested(2))
    assert story.deliver(story.now) == []
    assert story.states() == ["checked_in", "cancelled", "confirmed"]


def test_a_session_that_is_held_only_is_moved_too() -> None:
    story = accepted(1)
    assert names(close(story)) == ["session.rescheduled"]
    assert story.states() == ["held"]
    assert names(story.tell(prepayment_satisfied(1))) == ["session.confirmed"]


@pytest.mark.parametrize(
    ("what", "places", "code"),
    [
        ({}, PLACES, Refusal.CLOSED),
        ({"chair": "chair-1"}, room(1), Refusal.CHAIR_TAKEN),
        ({"provider": "provider-1"}, room(1), Refusal.PROVIDER_TAKEN),
    ],
)
def test_nobody_is_booked_into_a_closed_stretch(
    what: dict[str, str], places: dict[str, ChairPlan], code: Refusal
) -> None:
    story = Story(places)
    close(story, closure(**what))
    rejection = story.tell(course_requested(2))[0]
    assert isinstance(rejection, CourseRejected)
    assert [(c.session_id, c.code) for c in rejection.conflicts] == [(session_id(1), code)]


def test_late_money_does_not_take_a_place_that_was_closed_meanwhile() -> None:
    story = accepted(1)
    story.deliver(story.now + 72 * HOUR)
    close(story)
    assert [event.model_dump()["reason"] for event in story.tell(prepayment_satisfied(1))] == ["slot_taken"]


def test_the_same_closure_again_has_no_effect() -> None:
    story = confirmed(1)
    close(story)
    before = story.closures[closure().key]
    assert close(story) == []
    assert story.closures[closure().key] is before


def test_a_closure_travels_on_no_topic() -> None:
    assert not hasattr(ClosureRequested, "topic")
    assert ClosureRequested.type.split(".")[0] not in {topic.split(".")[0] for topic in CLINIC_TOPICS}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ends_at": DAY_ONE},
        {"ends_at": DAY_ONE + timedelta(days=367)},
        {"chair": "chair-1", "provider": "provider-1"},
        {"location": ""},
    ],
)
def test_a_closure_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ClosureRequested.model_validate(closure().model_dump() | wrong)
