"""What becomes of a course that is held: who pays and comes along, further sessions, and moves."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.booking.rules.course import CourseState
from services.booking.rules.decide import decide
from shared.contract.booking import (
    CourseChanged,
    SessionEvent,
    SessionReleased,
    SessionRescheduled,
)
from shared.contract.clinic import Insurance
from shared.contract.closed_sets import Payer, Refusal
from shared.contract.register import EventData
from shared.decision.message import Message
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, pricing_rejected
from tests.facts.clinic import (
    course_cancel_requested,
    course_change_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import room
from tests.stand_ins.booking_story import accepted, confirmed, names, refused
from tests.stand_ins.seats import calendar_of


def further(*starts: datetime) -> tuple[dict[str, object], ...]:
    """Wishes for more sessions."""
    return tuple({"session_id": UUID(int=70 + n), "starts_at": at} for n, at in enumerate(starts))


def changed(events: list[EventData]) -> CourseChanged:
    [event] = events
    assert isinstance(event, CourseChanged)
    return event


def test_a_change_is_told_with_the_whole_course_and_touches_no_session() -> None:
    story = confirmed(2)
    before = story.course().sessions
    event = changed(
        story.tell(course_change_requested(payer="insurance", insurance={"plan": "gold"}, companions=["therapist"]))
    )
    assert (event.payer, event.insurance, event.companions) == (Payer.INSURANCE, Insurance(plan="gold"), ("therapist",))
    assert [(s.session_id, s.state, s.version) for s in event.sessions] == [
        (s.session_id, s.state, s.version) for s in before
    ]
    assert story.course().sessions == before


def test_what_is_not_named_stays_as_it_is() -> None:
    story = accepted(payer=Payer.INSURANCE, insurance={"plan": "gold"}, companions=("driver",), package="induction")
    event = changed(story.tell(course_change_requested(payer="self_pay")))
    assert (event.insurance, event.companions, event.package) == (Insurance(plan="gold"), ("driver",), "induction")


def test_the_first_request_again_has_no_effect_after_a_change_either() -> None:
    story = accepted()
    story.tell(course_change_requested(companions=["driver"]))
    story.tell(course_change_requested(payer="insurance"))
    assert story.tell(course_requested()) == []
    assert refused(story.tell(course_requested(companions=("driver",), payer="insurance"))) is Refusal.COURSE_EXISTS


def test_the_last_companion_cannot_be_taken_away_where_one_is_mandatory() -> None:
    story = accepted(location="sturges", companions=("therapist",))
    assert refused(story.tell(course_change_requested(companions=[]))) is Refusal.COMPANION_MISSING
    assert changed(story.tell(course_change_requested(companions=["other"]))).companions == ("other",)


def test_a_course_that_is_over_cannot_be_changed() -> None:
    story = accepted()
    story.tell(course_cancel_requested())
    assert refused(story.tell(course_change_requested(payer="insurance"))) is Refusal.WRONG_STATE


def test_further_sessions_are_held_behind_the_others() -> None:
    story = confirmed(2)
    event = changed(story.tell(course_change_requested(add_sessions=further(start(4), start(3)))))
    assert [(s.number, s.of, s.state, s.starts_at) for s in event.sessions] == [
        (1, 4, "confirmed", start(1)),
        (2, 4, "confirmed", start(2)),
        (3, 4, "held", start(3)),
        (4, 4, "held", start(4)),
    ]
    assert len(story.course().sessions) == 4
    [confirmation] = story.tell(prepayment_satisfied(1).model_copy(update={"session_id": UUID(int=71)}))
    assert isinstance(confirmation, SessionEvent)
    assert (confirmation.number, confirmation.of) == (3, 4)


@pytest.mark.parametrize(
    ("starts", "code"),
    [
        ([start(2) + 2 * HOUR], Refusal.TOO_CLOSE),
        ([start(3), start(3) + 9 * DAY, start(3) + 16 * DAY], Refusal.OUTSIDE_WINDOW),
        ([start(3), start(3) + 4 * DAY], Refusal.CLOSED),
        ([NOW - HOUR], Refusal.IN_PAST),
        ([start(3) + 30 * timedelta(minutes=1)], Refusal.CHAIR_TAKEN),
    ],
)
def test_all_of_a_change_or_nothing(starts: list[datetime], code: Refusal) -> None:
    story = confirmed(2, room(1))
    story.tell(course_requested(course=OTHER, sessions=({"session_id": OTHER, "starts_at": start(3)},)))
    if code in (Refusal.OUTSIDE_WINDOW, Refusal.CLOSED):
        story.tell(course_cancel_requested(course=OTHER))
    before = story.course()
    assert refused(story.tell(course_change_requested(companions=["driver"], add_sessions=further(*starts)))) is code
    assert story.course() is before


def test_no_more_sessions_than_the_treatment_has_are_added() -> None:
    story = accepted(2, location="albany", treatment="sgb")
    assert refused(story.tell(course_change_requested(add_sessions=further(start(3))))) is Refusal.WRONG_COUNT


def test_a_session_id_of_another_course_is_not_taken() -> None:
    story = accepted()
    story.tell(course_requested(course=OTHER, patient_id="x"))
    wish = ({"session_id": session_id(1, OTHER), "starts_at": start(3)},)
    assert refused(story.tell(course_change_requested(add_sessions=wish))) is Refusal.COURSE_EXISTS


def test_a_missed_session_that_is_moved_is_held_again_and_must_be_granted_anew() -> None:
    story = confirmed(2)
    story.now = start(1) + HOUR
    story.tell(patient_missed(1))
    [event] = story.tell(session_reschedule_requested(1, start(3)))
    assert isinstance(event, SessionRescheduled)
    assert (event.state, event.previous_starts_at, event.starts_at) == ("held", start(1), start(3))
    assert names(story.tell(patient_checked_in(1), start(3))) == ["session.check_in_refused"]
    assert names(story.tell(prepayment_satisfied(1, grant=2))) == ["session.confirmed", "session.checked_in"]


def test_a_course_that_had_ended_goes_on_when_its_missed_session_is_moved() -> None:
    story = confirmed(1)
    story.now = start(1) + HOUR
    assert names(story.tell(patient_missed(1))) == ["session.missed", "course.closed"]
    story.tell(session_reschedule_requested(1, start(2)))
    assert story.course().state is CourseState.ACCEPTED
    story.tell(prepayment_satisfied(1, grant=2))
    story.now = start(2)
    story.tell(patient_checked_in(1))
    assert names(story.tell(treatment_completed(1))) == ["session.completed", "course.completed"]


def test_a_missed_session_is_not_moved_into_the_past_or_onto_another() -> None:
    story = confirmed(2)
    story.now = start(1) + HOUR
    story.tell(patient_missed(1))
    assert refused(story.tell(session_reschedule_requested(1, start(1)))) is Refusal.IN_PAST
    assert refused(story.tell(session_reschedule_requested(1, start(2)))) is Refusal.PATIENT_BUSY
    assert refused(story.tell(session_reschedule_requested(1, start(2) + 2 * HOUR))) is Refusal.TOO_CLOSE
    assert story.states() == ["missed", "confirmed"]


def test_a_missed_session_may_be_moved_far_from_what_is_left_of_the_series() -> None:
    story = confirmed(4)
    for number in (2, 3):
        story.tell(session_cancel_requested(number))
    story.now = start(1) + HOUR
    story.tell(patient_missed(1))
    assert names(story.tell(session_reschedule_requested(1, start(4) + 12 * DAY))) == ["session.rescheduled"]


def test_a_stale_miss_of_the_old_time_does_not_touch_a_session_that_was_moved() -> None:
    story = confirmed(2)
    story.now = start(1) + HOUR
    story.tell(patient_missed(1, starts_at=start(1)))
    story.tell(session_reschedule_requested(1, start(3)))
    assert refused(story.tell(patient_missed(1, starts_at=start(1)))) is Refusal.STALE
    assert story.states() == ["held", "confirmed"]


def test_a_released_session_can_be_moved_to_where_there_is_room() -> None:
    story = accepted(2, room(1))
    story.tell(prepayment_satisfied(2))
    story.tell(prepayment_overdue(1))
    story.tell(course_requested(1, OTHER))
    [lost] = story.tell(prepayment_satisfied(1))
    assert isinstance(lost, SessionReleased)
    assert names(story.tell(session_reschedule_requested(1, start(1) + 3 * HOUR))) == ["session.rescheduled"]
    assert story.states() == ["held", "confirmed"]
    assert names(story.tell(prepayment_satisfied(1, grant=2))) == ["session.confirmed"]


def test_a_course_that_was_released_whole_does_not_begin_again_by_a_move_unless_it_was_paid_late() -> None:
    """What billing could not price would be held for ever."""
    story = accepted(1, room(1))
    story.tell(pricing_rejected())
    assert refused(story.tell(session_reschedule_requested(1, start(2)))) is Refusal.WRONG_STATE
    story = accepted(1, room(1))
    story.deliver(NOW + 72 * HOUR)
    story.tell(course_requested(1, OTHER))
    story.tell(prepayment_satisfied(1))
    assert names(story.tell(session_reschedule_requested(1, start(2)))) == ["session.rescheduled"]
    assert story.course().state is CourseState.ACCEPTED


def test_a_moved_session_keeps_its_payment_and_its_old_place_is_free() -> None:
    story = confirmed(1, room(1))
    [event] = story.tell(session_reschedule_requested(1, start(2)))
    assert isinstance(event, SessionRescheduled)
    assert (event.previous_starts_at, event.starts_at, event.state) == (start(1), start(2), "confirmed")
    assert story.timers[str(COURSE), "unreported", str(session_id(1))] == event.ends_at + 12 * HOUR
    assert names(story.tell(course_requested(1, OTHER))) == ["course.accepted"]


def test_the_next_message_of_the_batch_sees_the_old_place_free_and_the_new_one_taken() -> None:
    story = confirmed(1, room(1))
    before = story.session()
    seat = story.taken(before, course_requested(1))
    wish = session_reschedule_requested(1, start(2))
    message = Message("m", wish.type, "", NOW, NOW, wish)
    after = decide(room(1), story.course(), message, NOW, calendar_of(seat)).context
    assert after is not None
    for resource in seat.resources[:2]:
        assert after.is_free(resource, start(1), start(1) + HOUR)
        assert not after.is_free(resource, start(2), start(2) + HOUR)


def test_a_session_can_be_moved_by_an_hour_onto_its_own_place() -> None:
    story = confirmed(1, room(1))
    assert names(story.tell(session_reschedule_requested(1, start(1) + HOUR))) == ["session.rescheduled"]


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (NOW - HOUR, Refusal.IN_PAST),
        (start(1) + 10 * HOUR, Refusal.CLOSED),
        (start(2), Refusal.PATIENT_BUSY),
        (start(2) + 2 * HOUR, Refusal.TOO_CLOSE),
        (start(2) + 20 * DAY, Refusal.TOO_FAR),
    ],
)
def test_a_session_that_cannot_be_moved_there_stays_where_it_is(to: datetime, code: Refusal) -> None:
    story = confirmed(2)
    before = story.course()
    assert refused(story.tell(session_reschedule_requested(1, to))) is code
    assert story.course() is before


def test_a_session_is_not_moved_into_a_chair_that_is_taken() -> None:
    story = confirmed(1, room(1))
    story.tell(course_requested(course=OTHER, sessions=({"session_id": OTHER, "starts_at": start(2)},)))
    assert refused(story.tell(session_reschedule_requested(1, start(2) + HOUR))) is Refusal.CHAIR_TAKEN


def test_the_gap_to_a_session_that_was_given_counts_when_another_is_moved() -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(patient_checked_in(1))
    story.tell(treatment_completed(1))
    assert refused(story.tell(session_reschedule_requested(2, start(1) + 3 * HOUR))) is Refusal.TOO_CLOSE


def test_a_gap_that_a_cancelled_session_left_does_not_nail_the_others_down() -> None:
    story = confirmed(5)
    story.tell(session_cancel_requested(2))
    story.tell(session_cancel_requested(3))
    story.tell(session_cancel_requested(4))
    assert names(story.tell(session_reschedule_requested(5, start(5) + HOUR))) == ["session.rescheduled"]


def test_who_stood_at_the_desk_for_the_old_time_is_not_checked_in_for_the_new_one() -> None:
    story = accepted(3)
    story.tell(prepayment_satisfied(3))
    story.deliver(start(1) - HOUR)
    story.tell(patient_checked_in(1))
    assert names(story.tell(session_reschedule_requested(1, start(1) + DAY))) == ["session.rescheduled"]
    assert names(story.tell(prepayment_satisfied(1))) == ["session.confirmed"]


@pytest.mark.parametrize(
    "before",
    [[patient_checked_in()], [treatment_completed()], [session_cancel_requested(1)]],
    ids=lambda facts: facts[0].type,
)
def test_a_session_that_has_begun_or_ended_cannot_be_moved(before: list[EventData]) -> None:
    story = confirmed(2)
    story.now = start(1)
    for fact in before:
        story.tell(fact)
    assert refused(story.tell(session_reschedule_requested(1, start(1) + DAY))) is Refusal.WRONG_STATE
