"""The gate: what is paid is confirmed, what is late is released, and only who is confirmed is treated."""

from datetime import timedelta

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.rules.course import TRANSITIONS, CourseState
from services.booking.rules.draft import Draft, IllegalTransition
from shared.contract.booking import (
    CourseClosed,
    CourseCompleted,
    RequestRejected,
    SessionCheckInRefused,
    SessionCompleted,
    SessionConfirmed,
    SessionReleased,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.closed_sets import Refusal, SessionState
from shared.contract.register import EventData
from shared.decision.message import Message
from tests.booking_story import (
    COURSE,
    DAY,
    HOUR,
    NOW,
    OTHER,
    PLACES,
    Story,
    accepted,
    cancel,
    checked_in,
    completed,
    confirmed,
    missed,
    names,
    overdue,
    requested,
    room,
    satisfied,
    session_id,
    start,
    withdrawn,
)

HOLD_ENDS = NOW + 72 * HOUR


def released(events: list[EventData]) -> list[tuple[str, int]]:
    """Reason and grant of each release."""
    return [(event.reason, event.grant) for event in events if isinstance(event, SessionReleased)]


def test_a_course_from_its_request_to_its_completion() -> None:
    story = accepted(2)
    for number in (1, 2):
        assert names(story.tell(satisfied(number))) == ["session.confirmed"]
    for number in (1, 2):
        story.now = start(number)
        assert names(story.tell(checked_in(number))) == ["session.checked_in"]
        *_, last = story.tell(completed(number))
    assert last == CourseCompleted(course_id=COURSE, sessions_completed=2)
    assert story.course().state is CourseState.COMPLETED
    assert (story.timers, story.attention) == ({}, [])


def test_a_grant_is_answered_by_its_number() -> None:
    [event] = accepted().tell(satisfied(1, grant=7))
    assert isinstance(event, SessionConfirmed)
    assert (event.grant, event.state) == (7, "confirmed")


def test_a_grant_that_was_answered_is_not_answered_again() -> None:
    story = accepted()
    story.tell(satisfied(1, grant=2))
    assert story.tell(satisfied(1, grant=2)) == []
    assert story.tell(satisfied(1, grant=1)) == []


@pytest.mark.parametrize("until", ["confirmed", "checked_in", "completed"])
def test_a_further_grant_of_a_confirmed_session_is_confirmed(until: str) -> None:
    story = confirmed(1)
    story.now = start(1)
    if until != "confirmed":
        story.tell(checked_in())
    if until == "completed":
        story.tell(completed())
    [event] = story.tell(satisfied(1, grant=2))
    assert isinstance(event, SessionConfirmed)
    assert (event.grant, event.state) == (2, until)


@pytest.mark.parametrize("ended", [cancel(1), missed(1)], ids=["cancelled", "missed"])
def test_a_grant_for_a_session_that_will_not_be_is_answered_slot_taken(ended: EventData) -> None:
    story = accepted(2)
    story.tell(satisfied(2))
    story.deliver(start(1))
    story.tell(ended)
    events = story.tell(satisfied(1))
    assert released(events) == [("slot_taken", 1)]
    assert story.states()[0] in ("cancelled", "missed")


def test_a_grant_for_a_cancelled_course_is_answered_slot_taken() -> None:
    story = accepted(1)
    story.tell(cancel())
    assert released(story.tell(satisfied())) == [("slot_taken", 1)]
    assert story.course().state is CourseState.CLOSED


def test_a_course_of_which_nothing_is_confirmed_is_released_whole_when_its_hold_ends() -> None:
    story = accepted(2, room(1))
    assert story.deliver(HOLD_ENDS - timedelta(seconds=1)) == []
    events = story.deliver(HOLD_ENDS)
    assert names(events) == ["session.released", "session.released", "course.closed"]
    assert released(events) == [("hold_expired", 0)] * 2
    assert events[-1] == CourseClosed.model_validate({"course_id": COURSE, "reason": "released"})
    assert names(story.tell(requested(2, OTHER))) == ["course.accepted"]


def test_a_course_of_which_one_is_confirmed_outlives_its_hold() -> None:
    story = accepted(3)
    story.tell(satisfied(1))
    assert story.deliver(HOLD_ENDS + DAY) == []
    assert story.states() == ["confirmed", "held", "held"]


def test_a_hold_that_ended_just_when_a_session_was_confirmed_releases_nothing() -> None:
    story = accepted(2)
    hold = dict(story.timers)
    story.tell(satisfied(1))
    story.timers |= hold  # the timer had been taken before the confirmation was committed
    assert story.deliver(HOLD_ENDS) == []


def test_money_that_came_after_the_hold_had_ended_waits_for_the_holds_timer_and_takes_the_place_again() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    assert story.tell(satisfied(1), late) == []
    events = story.deliver(late)
    assert names(events) == ["session.released", "session.released", "session.confirmed"]
    assert released(events) == [("hold_expired", 0)] * 2
    assert story.states() == ["confirmed", "released"]
    assert story.course().waiting == ()


def test_money_that_came_at_the_very_end_of_the_hold_is_in_time() -> None:
    story = accepted(2)
    assert names(story.tell(satisfied(1), HOLD_ENDS)) == ["session.confirmed"]


def test_money_that_waits_for_the_holds_timer_is_answered_when_the_course_is_cancelled_meanwhile() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    story.tell(satisfied(1), late)
    events = story.tell(cancel(), late)
    assert released(events) == [("slot_taken", 1)]
    assert story.states() == ["cancelled", "cancelled"]
    assert story.course().waiting == ()
    assert story.deliver(late) == []


def test_money_taken_back_while_it_waits_for_the_holds_timer_does_not_confirm() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    story.tell(satisfied(1), late)
    story.tell(withdrawn(1), late)
    assert names(story.deliver(late)) == [
        "session.released",
        "session.released",
        "session.confirmed",
        "session.unconfirmed",
    ]
    assert story.states() == ["held", "released"]


def test_an_overdue_session_is_released_and_its_chair_is_free() -> None:
    story = accepted(2, room(1))
    story.tell(satisfied(2))
    assert released(story.tell(overdue(1))) == [("overdue", 0)]
    assert story.states() == ["released", "confirmed"]
    assert names(story.tell(requested(1, OTHER))) == ["course.accepted"]


@pytest.mark.parametrize("number", [1, 2])
def test_overdue_after_confirmed_is_without_effect(number: int) -> None:
    story = confirmed(2)
    before = story.course()
    assert story.tell(overdue(number)) == []
    assert story.course() is before


def test_late_money_takes_the_same_place_again() -> None:
    story = accepted(2, room(1))
    story.tell(satisfied(2))
    story.tell(overdue(1))
    before = story.session(1)
    assert names(story.tell(satisfied(1))) == ["session.confirmed"]
    after = story.session(1)
    assert (after.starts_at, after.chair, after.provider) == (before.starts_at, before.chair, before.provider)


def test_late_money_takes_another_chair_and_provider_when_its_own_are_taken() -> None:
    story = accepted(1, room(2))
    story.tell(overdue(1))
    story.tell(requested(1, OTHER))
    assert story.session(1, OTHER).chair == "chair-1"
    [event] = story.tell(satisfied(1))
    assert isinstance(event, SessionConfirmed)
    assert (event.chair, event.provider, event.grant) == ("chair-2", "provider-2", 1)


def test_late_money_for_a_place_that_is_gone_is_answered_slot_taken() -> None:
    story = accepted(1, room(1))
    story.tell(overdue(1))
    story.tell(requested(1, OTHER))
    assert released(story.tell(satisfied(1, grant=3))) == [("slot_taken", 3)]
    assert story.states() == ["released"]
    assert story.course().state is CourseState.CLOSED


def test_late_money_for_a_time_that_has_passed_is_answered_slot_taken() -> None:
    story = accepted(1)
    story.tell(overdue(1))
    story.deliver(start(1))
    assert released(story.tell(satisfied(1))) == [("slot_taken", 1)]


def test_late_money_reopens_a_closed_course() -> None:
    story = accepted(1)
    assert names(story.tell(overdue(1))) == ["session.released", "course.closed"]
    story.tell(satisfied(1))
    assert story.course().state is CourseState.ACCEPTED
    story.now = start(1)
    story.tell(checked_in(1))
    assert names(story.tell(completed(1))) == ["session.completed", "course.completed"]


def test_a_withdrawn_confirmation_is_held_again_and_can_be_granted_anew() -> None:
    story = confirmed(1)
    [event] = story.tell(withdrawn(1, grant=1))
    assert isinstance(event, SessionUnconfirmed)
    assert (event.grant, event.reason, event.state) == (1, "refund", "held")
    assert story.timers == {}
    assert names(story.tell(satisfied(1, grant=2))) == ["session.confirmed"]


def test_a_withdrawal_of_who_is_in_the_chair_is_refused() -> None:
    story = confirmed(1)
    story.now = start(1)
    story.tell(checked_in())
    [event] = story.tell(withdrawn())
    assert isinstance(event, SessionWithdrawalRefused)
    assert (event.grant, event.reason, event.state) == (1, Refusal.WRONG_STATE, "checked_in")


def test_a_withdrawn_course_does_not_fall_back_under_its_hold() -> None:
    story = confirmed(1)
    story.tell(withdrawn())
    assert story.deliver(HOLD_ENDS) == []
    assert released(story.tell(overdue())) == [("overdue", 1)]


def desk_refuses(events: list[EventData]) -> Refusal:
    [event] = events
    assert isinstance(event, SessionCheckInRefused)
    return event.reason


def test_check_in_opens_twelve_hours_before_the_start() -> None:
    story = confirmed(1)
    opens = start(1) - 12 * HOUR
    assert desk_refuses(story.tell(checked_in(), opens - timedelta(seconds=1))) is Refusal.TOO_EARLY
    assert names(story.tell(checked_in(), opens)) == ["session.checked_in"]


def test_check_in_closes_when_the_session_ends() -> None:
    story = confirmed(2)
    ends_at = story.session(1).ends_at
    assert desk_refuses(story.tell(checked_in(), ends_at + timedelta(seconds=1))) is Refusal.WRONG_STATE
    assert names(story.tell(checked_in(), ends_at)) == ["session.checked_in"]


def test_who_came_too_early_is_not_remembered() -> None:
    story = accepted(1)
    story.tell(checked_in(), start(1) - 13 * HOUR)
    assert names(story.tell(satisfied())) == ["session.confirmed"]


def test_an_unpaid_check_in_is_refused_remembered_and_follows_the_money() -> None:
    story = Story(now=start(1) - HOUR)
    story.tell(requested(1))
    assert desk_refuses(story.tell(checked_in())) is Refusal.NOT_PAID
    assert names(story.tell(satisfied(), start(1))) == ["session.confirmed", "session.checked_in"]
    assert story.states() == ["checked_in"]


def test_money_after_the_sessions_end_checks_nobody_in() -> None:
    story = accepted(2)
    story.tell(satisfied(2))
    story.tell(checked_in(), start(1))
    assert names(story.tell(satisfied(1), story.session().ends_at + HOUR)) == ["session.confirmed"]


def test_a_check_in_for_another_time_is_stale() -> None:
    story = confirmed(1)
    fact = checked_in(1, starts_at=start(2))
    assert desk_refuses(story.tell(fact, start(1))) is Refusal.STALE
    assert names(story.tell(checked_in(1, starts_at=start(1)), start(1))) == ["session.checked_in"]


@pytest.mark.parametrize("before", [checked_in(), completed(), missed(), cancel(1)], ids=lambda fact: fact.type)
def test_who_is_in_the_chair_or_done_cannot_check_in(before: EventData) -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(before)
    assert desk_refuses(story.tell(checked_in())) is Refusal.WRONG_STATE


def test_a_completed_treatment_is_told_with_its_start_and_stop() -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(checked_in())
    [event] = story.tell(completed())
    assert isinstance(event, SessionCompleted)
    assert (event.started_at, event.ended_at) == (completed().started_at, completed().ended_at)
    assert story.attention == []


@pytest.mark.parametrize(
    ("before", "was"), [([], "held"), ([overdue()], "released"), ([missed()], "missed"), ([cancel(1)], "cancelled")]
)
def test_an_unpaid_completion_is_a_fact_and_goes_to_a_person(before: list[EventData], was: str) -> None:
    story = accepted(2)
    for fact in before:
        story.tell(fact, start(1))
    assert names(story.tell(completed(), start(1) + HOUR)) == ["session.completed"]
    assert [(a.kind, a.subject, a.detail) for a in story.attention] == [
        ("unexpected_completion", str(session_id(1)), f"completed while {was}")
    ]


def test_a_session_cannot_be_completed_twice() -> None:
    story = confirmed(1)
    story.tell(completed())
    [event] = story.tell(completed())
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.WRONG_STATE


def test_a_missed_session_is_told() -> None:
    story = confirmed(2)
    assert names(story.tell(missed(1, starts_at=start(1)))) == ["session.missed"]
    assert (str(COURSE), "unreported", str(session_id(1))) not in story.timers


def test_a_session_missed_at_another_time_is_stale() -> None:
    story = confirmed(1)
    [event] = story.tell(missed(1, starts_at=start(2)))
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.STALE


def test_who_is_in_the_chair_cannot_be_missed() -> None:
    story = confirmed(1)
    story.tell(checked_in(), start(1))
    [event] = story.tell(missed())
    assert isinstance(event, RequestRejected)
    assert event.code is Refusal.WRONG_STATE


def test_a_session_of_which_nothing_is_told_twelve_hours_after_its_end_goes_to_a_person() -> None:
    story = confirmed(1)
    due_at = story.session().ends_at + 12 * HOUR
    story.deliver(due_at - HOUR)
    assert story.attention == []
    story.deliver(due_at)
    assert [(a.kind, a.subject) for a in story.attention] == [("unreported_session", str(session_id(1)))]


def test_a_course_with_one_completed_session_is_completed_whatever_became_of_the_others() -> None:
    story = confirmed(4)
    story.now = start(4)
    story.tell(completed(1))
    story.tell(missed(2))
    story.tell(cancel(3))
    *_, end = story.tell(missed(4))
    assert end == CourseCompleted(course_id=COURSE, sessions_completed=1)


def test_a_course_of_which_nothing_was_given_is_closed() -> None:
    story = confirmed(2)
    story.tell(missed(1))
    *_, end = story.tell(cancel(2))
    assert end == CourseClosed.model_validate({"course_id": COURSE, "reason": "cancelled"})


def test_a_treatment_that_turns_out_to_have_been_given_completes_a_closed_course() -> None:
    story = confirmed(1)
    story.tell(cancel())
    assert names(story.tell(completed(1))) == ["session.completed", "course.completed"]
    assert story.course().state is CourseState.COMPLETED


@pytest.mark.parametrize(
    ("state", "to"), [(a, b) for a in SessionState for b in SessionState if b not in TRANSITIONS[a]]
)
def test_no_rule_can_move_a_session_off_the_table(state: SessionState, to: SessionState) -> None:
    story = accepted(1)
    message = Message("m", "", "", NOW, NOW, satisfied())
    draft = Draft(PLACES, story.course(), message, NOW, Calendar())
    with pytest.raises(IllegalTransition, match=f"{state} -> {to}"):
        draft.move(story.session()._replace(state=state), to, grant=1)
