"""Grants: each has one answer; what is paid is confirmed, what is late is released, late money finds its place."""

from datetime import timedelta

import pytest

from services.booking.rules.course import CourseState
from shared.contract.booking import (
    CourseClosed,
    SessionConfirmed,
    SessionReleased,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.closed_sets import Refusal
from shared.contract.register import EventData
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, prepayment_withdrawn, pricing_rejected
from tests.facts.clinic import (
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, start
from tests.stand_ins.booking_places import room
from tests.stand_ins.booking_story import accepted, confirmed, names


def test_late_money_does_not_take_a_place_too_close_to_where_another_was_moved_meanwhile() -> None:
    story = accepted(2)
    story.tell(prepayment_satisfied(2))
    story.tell(prepayment_overdue(1))
    story.tell(session_reschedule_requested(2, start(1) + 3 * HOUR))
    [event] = story.tell(prepayment_satisfied(1))
    assert isinstance(event, SessionReleased)
    assert (event.reason, event.grant, story.states()) == ("slot_taken", 1, ["released", "confirmed"])


def test_late_money_takes_its_place_again_however_far_its_neighbours_are_by_now() -> None:
    story = accepted(4)
    story.tell(prepayment_satisfied(1))
    for number in (2, 3, 4):
        story.tell(prepayment_overdue(number))
    assert names(story.tell(prepayment_satisfied(4))) == ["session.confirmed"]


HOLD_ENDS = NOW + 72 * HOUR


def released(events: list[EventData]) -> list[tuple[str, int]]:
    """Reason and grant of each release."""
    return [(event.reason, event.grant) for event in events if isinstance(event, SessionReleased)]


def test_a_grant_is_answered_by_its_number() -> None:
    [event] = accepted().tell(prepayment_satisfied(1, grant=7))
    assert isinstance(event, SessionConfirmed)
    assert (event.grant, event.state) == (7, "confirmed")


def test_a_grant_that_was_answered_is_not_answered_again() -> None:
    story = accepted()
    story.tell(prepayment_satisfied(1, grant=2))
    assert story.tell(prepayment_satisfied(1, grant=2)) == []
    assert story.tell(prepayment_satisfied(1, grant=1)) == []


@pytest.mark.parametrize("until", ["confirmed", "checked_in", "completed"])
def test_a_further_grant_of_a_confirmed_session_is_confirmed(until: str) -> None:
    story = confirmed(1)
    story.now = start(1)
    if until != "confirmed":
        story.tell(patient_checked_in())
    if until == "completed":
        story.tell(treatment_completed())
    [event] = story.tell(prepayment_satisfied(1, grant=2))
    assert isinstance(event, SessionConfirmed)
    assert (event.grant, event.state) == (2, until)


@pytest.mark.parametrize("ended", [session_cancel_requested(1), patient_missed(1)], ids=["cancelled", "missed"])
def test_a_grant_for_a_session_that_will_not_be_is_answered_slot_taken(ended: EventData) -> None:
    story = accepted(2)
    story.tell(prepayment_satisfied(2))
    story.deliver(start(1))
    story.tell(ended)
    events = story.tell(prepayment_satisfied(1))
    assert released(events) == [("slot_taken", 1)]
    assert story.states()[0] in ("cancelled", "missed")


def test_a_grant_for_a_cancelled_course_is_answered_slot_taken() -> None:
    story = accepted(1)
    story.tell(course_cancel_requested())
    assert released(story.tell(prepayment_satisfied())) == [("slot_taken", 1)]
    assert story.course().state is CourseState.CLOSED


def test_a_course_of_which_nothing_is_confirmed_is_released_whole_when_its_hold_ends() -> None:
    story = accepted(2, room(1))
    assert story.deliver(HOLD_ENDS - timedelta(seconds=1)) == []
    events = story.deliver(HOLD_ENDS)
    assert names(events) == ["session.released", "session.released", "course.closed"]
    assert released(events) == [("hold_expired", 0)] * 2
    assert events[-1] == CourseClosed.model_validate({"course_id": COURSE, "reason": "released"})
    assert names(story.tell(course_requested(2, OTHER))) == ["course.accepted"]


def test_a_course_of_which_one_is_confirmed_outlives_its_hold() -> None:
    story = accepted(3)
    story.tell(prepayment_satisfied(1))
    assert story.deliver(HOLD_ENDS + DAY) == []
    assert story.states() == ["confirmed", "held", "held"]


def test_a_hold_that_ended_just_when_a_session_was_confirmed_releases_nothing() -> None:
    story = accepted(2)
    hold = dict(story.timers)
    story.tell(prepayment_satisfied(1))
    story.timers |= hold  # the timer had been taken before the confirmation was committed
    assert story.deliver(HOLD_ENDS) == []


def test_money_that_came_after_the_hold_had_ended_waits_for_the_holds_timer_and_takes_the_place_again() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    assert story.tell(prepayment_satisfied(1), late) == []
    events = story.deliver(late)
    assert names(events) == ["session.released", "session.released", "session.confirmed"]
    assert released(events) == [("hold_expired", 0)] * 2
    assert story.states() == ["confirmed", "released"]
    assert story.course().waiting == ()


def test_money_that_came_at_the_very_end_of_the_hold_is_in_time() -> None:
    story = accepted(2)
    assert names(story.tell(prepayment_satisfied(1), HOLD_ENDS)) == ["session.confirmed"]


def test_money_that_waits_for_the_holds_timer_is_answered_when_the_course_is_cancelled_meanwhile() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    story.tell(prepayment_satisfied(1), late)
    events = story.tell(course_cancel_requested(), late)
    assert released(events) == [("slot_taken", 1)]
    assert story.states() == ["cancelled", "cancelled"]
    assert story.course().waiting == ()
    assert story.deliver(late) == []


def test_money_taken_back_while_it_waits_for_the_holds_timer_does_not_confirm() -> None:
    story = accepted(2)
    late = HOLD_ENDS + timedelta(minutes=1)
    story.tell(prepayment_satisfied(1), late)
    story.tell(prepayment_withdrawn(1), late)
    assert names(story.deliver(late)) == [
        "session.released",
        "session.released",
        "session.confirmed",
        "session.unconfirmed",
    ]
    assert story.states() == ["held", "released"]


def test_an_overdue_session_is_released_and_its_chair_is_free() -> None:
    story = accepted(2, room(1))
    story.tell(prepayment_satisfied(2))
    assert released(story.tell(prepayment_overdue(1))) == [("overdue", 0)]
    assert story.states() == ["released", "confirmed"]
    assert names(story.tell(course_requested(1, OTHER))) == ["course.accepted"]


@pytest.mark.parametrize("number", [1, 2])
def test_overdue_after_confirmed_is_without_effect(number: int) -> None:
    story = confirmed(2)
    before = story.course()
    assert story.tell(prepayment_overdue(number)) == []
    assert story.course() is before


def test_late_money_takes_the_same_place_again() -> None:
    story = accepted(2, room(1))
    story.tell(prepayment_satisfied(2))
    story.tell(prepayment_overdue(1))
    before = story.session(1)
    assert names(story.tell(prepayment_satisfied(1))) == ["session.confirmed"]
    after = story.session(1)
    assert (after.starts_at, after.chair, after.provider) == (before.starts_at, before.chair, before.provider)


def test_late_money_takes_another_chair_and_provider_when_its_own_are_taken() -> None:
    story = accepted(1, room(2))
    story.tell(prepayment_overdue(1))
    story.tell(course_requested(1, OTHER))
    assert story.session(1, OTHER).chair == "chair-1"
    [event] = story.tell(prepayment_satisfied(1))
    assert isinstance(event, SessionConfirmed)
    assert (event.chair, event.provider, event.grant) == ("chair-2", "provider-2", 1)


def test_late_money_for_a_place_that_is_gone_is_answered_slot_taken() -> None:
    story = accepted(1, room(1))
    story.tell(prepayment_overdue(1))
    story.tell(course_requested(1, OTHER))
    assert released(story.tell(prepayment_satisfied(1, grant=3))) == [("slot_taken", 3)]
    assert story.states() == ["released"]
    assert story.course().state is CourseState.CLOSED


def test_late_money_for_a_time_that_has_passed_is_answered_slot_taken() -> None:
    story = accepted(1)
    story.tell(prepayment_overdue(1))
    story.deliver(start(1))
    assert released(story.tell(prepayment_satisfied(1))) == [("slot_taken", 1)]


def test_late_money_reopens_a_closed_course() -> None:
    story = accepted(1)
    assert names(story.tell(prepayment_overdue(1))) == ["session.released", "course.closed"]
    story.tell(prepayment_satisfied(1))
    assert story.course().state is CourseState.ACCEPTED
    story.now = start(1)
    story.tell(patient_checked_in(1))
    assert names(story.tell(treatment_completed(1))) == ["session.completed", "course.completed"]


def test_a_withdrawn_confirmation_is_held_again_and_can_be_granted_anew() -> None:
    story = confirmed(1)
    [event] = story.tell(prepayment_withdrawn(1, grant=1))
    assert isinstance(event, SessionUnconfirmed)
    assert (event.grant, event.reason, event.state) == (1, "refund", "held")
    assert story.timers == {}
    assert names(story.tell(prepayment_satisfied(1, grant=2))) == ["session.confirmed"]


def test_a_withdrawal_of_who_is_in_the_chair_is_refused() -> None:
    story = confirmed(1)
    story.now = start(1)
    story.tell(patient_checked_in())
    [event] = story.tell(prepayment_withdrawn())
    assert isinstance(event, SessionWithdrawalRefused)
    assert (event.grant, event.reason, event.state) == (1, Refusal.WRONG_STATE, "checked_in")


def test_a_withdrawn_course_does_not_fall_back_under_its_hold() -> None:
    story = confirmed(1)
    story.tell(prepayment_withdrawn())
    assert story.deliver(HOLD_ENDS) == []
    assert released(story.tell(prepayment_overdue())) == [("overdue", 1)]


def test_a_course_that_cannot_be_priced_is_released_whole() -> None:
    story = accepted(2)
    events = story.tell(pricing_rejected())
    assert names(events) == ["session.released", "session.released", "course.closed"]
    assert {e.reason for e in events if isinstance(e, SessionReleased)} == {"unpriced"}
    story.deliver(NOW + 30 * DAY)
    assert len(story.told) == 4
