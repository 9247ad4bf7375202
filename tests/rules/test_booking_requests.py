"""Requests: a course is held whole or not at all, once, and what comes before it waits for it."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.rules.course import CourseState
from services.booking.rules.decide import decide
from shared.contract.billing import PricingRejected
from shared.contract.booking import (
    CourseAccepted,
    CourseClosed,
    CourseRejected,
    RequestRejected,
    SessionReleased,
    SessionRescheduled,
)
from shared.contract.clinic import CourseRequested, RequestedSession
from shared.contract.closed_sets import By, Payer, PricingRefusal, Refusal
from shared.contract.register import EventData
from shared.decision.message import Message
from tests.booking_story import (
    COURSE,
    DAY,
    HOUR,
    NOW,
    OTHER,
    Story,
    accepted,
    cancel,
    checked_in,
    completed,
    confirmed,
    missed,
    moved,
    names,
    overdue,
    requested,
    room,
    satisfied,
    session_id,
    start,
    withdrawn,
)


def refused(events: list[EventData]) -> Refusal:
    [event] = events
    assert isinstance(event, RequestRejected)
    assert event.request_id.startswith("message-")
    return event.code


def type_name(fact: EventData) -> str:
    return fact.type


def first_type(facts: list[EventData]) -> str:
    return facts[0].type


def test_a_course_of_six_is_held_whole() -> None:
    story = Story()
    [event] = story.tell(requested(6, package="induction", companions=("driver",)))
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
    story.tell(requested())
    assert story.course().hold_expires_at == start(1)


def test_numbers_follow_time_whatever_the_order_of_the_wishes() -> None:
    wishes = tuple(RequestedSession(session_id=session_id(n), starts_at=start(n)) for n in (3, 1, 2))
    story = Story()
    story.tell(requested().model_copy(update={"sessions": wishes}))
    assert [(s.number, s.session_id) for s in story.course().sessions] == [(n, session_id(n)) for n in (1, 2, 3)]


def test_the_requests_own_minutes_go_before_the_protocols() -> None:
    story = accepted(minutes=30)
    assert story.session().ends_at == start(1) + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"location": "nowhere"}, Refusal.UNKNOWN_LOCATION),
        ({"treatment": "leeches"}, Refusal.UNKNOWN_TREATMENT),
    ],
)
def test_what_the_clinic_does_not_have_is_refused_by_name(told: dict[str, object], code: Refusal) -> None:
    story = Story()
    [event] = story.tell(CourseRequested.model_validate(requested().model_dump() | told))
    assert isinstance(event, CourseRejected)
    assert (event.code, [c.code for c in event.conflicts]) == (code, [code])
    assert story.course().state is CourseState.REJECTED


def test_one_taken_session_rejects_the_whole_course_and_takes_nothing() -> None:
    story = Story(room(1))
    story.tell(requested(1, OTHER))
    [event] = story.tell(requested(3))
    assert isinstance(event, CourseRejected)
    assert [(c.session_id, c.code) for c in event.conflicts] == [(session_id(1), Refusal.CHAIR_TAKEN)]
    assert story.course().sessions == ()
    assert story.timers.keys() == {(str(OTHER), "hold", "")}


def test_the_same_request_again_has_no_effect() -> None:
    story = accepted()
    before = story.course()
    assert story.tell(requested()) == []
    assert story.course() is before


def test_the_same_request_again_has_no_effect_after_the_course_has_ended() -> None:
    story = confirmed(1)
    story.tell(completed())
    assert story.tell(requested(1)) == []
    assert story.course().state is CourseState.COMPLETED


def test_the_same_course_id_with_other_content_is_refused() -> None:
    story = accepted()
    before = story.course()
    assert refused(story.tell(requested(companions=("driver",)))) is Refusal.COURSE_EXISTS
    assert story.course() is before


def test_a_rejected_course_may_be_asked_again() -> None:
    story = Story(room(1))
    story.tell(requested(1, OTHER))
    story.tell(requested(1))
    story.tell(cancel(course=OTHER))
    assert names(story.tell(requested(1))) == ["course.accepted"]
    assert story.states() == ["held"]


def test_a_rejected_course_may_be_asked_again_with_other_content() -> None:
    story = Story()
    story.tell(requested(location="nowhere"))
    assert names(story.tell(requested())) == ["course.accepted"]


def test_facts_wait_for_their_course_and_are_decided_after_it() -> None:
    story = Story(now=start(1) - HOUR)
    assert story.tell(satisfied()) == []
    assert story.tell(checked_in()) == []
    assert story.course().state is CourseState.AWAITED
    assert names(story.tell(requested(1))) == ["course.accepted", "session.confirmed", "session.checked_in"]
    assert story.course().waiting == ()
    assert (str(COURSE), "unknown_course", "") not in story.timers


def test_a_person_hears_after_a_day_of_what_waits_for_a_course_that_nobody_requests() -> None:
    story = Story()
    story.tell(satisfied(1))
    story.now += HOUR
    story.tell(satisfied(2))
    story.deliver(NOW + DAY - HOUR)
    assert story.attention == []
    story.deliver(NOW + DAY)
    assert [(a.kind, a.subject) for a in story.attention] == [("unknown_course", str(COURSE))]
    assert names(story.tell(requested())) == ["course.accepted", "session.confirmed", "session.confirmed"]


def test_what_waited_is_judged_by_when_it_came_not_by_when_it_is_decided() -> None:
    story = Story(now=start(1) - 13 * HOUR)
    story.tell(checked_in())
    story.now = start(1) - HOUR
    assert names(story.tell(requested(1))) == ["course.accepted", "session.check_in_refused"]
    assert story.session().here_at is None


def test_what_waited_for_a_course_that_is_rejected_is_refused() -> None:
    story = Story()
    story.tell(checked_in())
    rejected, refusal = story.tell(requested(location="nowhere"))
    assert isinstance(rejected, CourseRejected)
    assert isinstance(refusal, RequestRejected)
    assert (refusal.code, refusal.request_id) == (Refusal.UNKNOWN_COURSE, "message-1")
    assert story.course().waiting == ()
    assert story.timers == {}


def test_a_fact_about_a_rejected_course_is_refused() -> None:
    story = Story()
    story.tell(requested(location="nowhere"))
    assert refused(story.tell(satisfied())) is Refusal.UNKNOWN_COURSE


@pytest.mark.parametrize(
    "fact",
    [satisfied(), overdue(), withdrawn(), checked_in(), completed(), missed(), cancel(1), moved(1, start(2))],
    ids=type_name,
)
def test_a_session_that_the_course_does_not_have_is_refused(fact: EventData) -> None:
    story = accepted()
    assert refused(story.tell(fact.model_copy(update={"session_id": UUID(int=9)}))) is Refusal.UNKNOWN_SESSION


def test_cancelling_a_course_frees_what_has_not_begun() -> None:
    story = confirmed(3, room(1))
    story.now = start(1)
    story.tell(checked_in(1))
    assert names(story.tell(cancel())) == ["session.cancelled", "session.cancelled"]
    assert story.states() == ["checked_in", "cancelled", "cancelled"]
    story.tell(completed(1))
    assert story.course().state is CourseState.COMPLETED
    assert story.timers == {}


def test_a_cancelled_course_is_closed_and_its_chairs_are_free_again() -> None:
    story = accepted(2, room(1))
    *_, end = story.tell(cancel())
    assert isinstance(end, CourseClosed)
    assert end.reason == "cancelled"
    assert story.timers == {}
    assert names(story.tell(requested(2, OTHER))) == ["course.accepted"]


def test_a_course_that_is_over_cannot_be_cancelled() -> None:
    story = confirmed(1)
    story.tell(completed())
    assert refused(story.tell(cancel())) is Refusal.WRONG_STATE


def test_cancelling_one_session_leaves_the_others() -> None:
    story = confirmed(2)
    [event] = story.tell(cancel(1).model_copy(update={"by": By.CLINIC}))
    assert (event.model_dump()["by"], story.states()) == ("clinic", ["cancelled", "confirmed"])
    assert (str(COURSE), "unreported", str(session_id(1))) not in story.timers


@pytest.mark.parametrize("before", [[checked_in()], [completed()], [missed()], [cancel(1)]], ids=first_type)
def test_a_session_that_has_begun_or_ended_cannot_be_cancelled(before: list[EventData]) -> None:
    story = confirmed(2)
    story.now = start(1)
    for fact in before:
        story.tell(fact)
    assert refused(story.tell(cancel(1))) is Refusal.WRONG_STATE


def test_a_course_that_cannot_be_priced_is_released_whole() -> None:
    story = accepted(2)
    events = story.tell(PricingRejected(course_id=COURSE, code=PricingRefusal.NO_PRICE, detail=""))
    assert names(events) == ["session.released", "session.released", "course.closed"]
    assert {e.reason for e in events if isinstance(e, SessionReleased)} == {"unpriced"}
    story.deliver(NOW + 30 * DAY)
    assert len(story.told) == 4


def test_a_moved_session_keeps_its_payment_and_its_old_place_is_free() -> None:
    story = confirmed(1, room(1))
    [event] = story.tell(moved(1, start(2)))
    assert isinstance(event, SessionRescheduled)
    assert (event.previous_starts_at, event.starts_at, event.state) == (start(1), start(2), "confirmed")
    assert story.timers[str(COURSE), "unreported", str(session_id(1))] == event.ends_at + 12 * HOUR
    assert names(story.tell(requested(1, OTHER))) == ["course.accepted"]


def test_the_next_message_of_the_batch_sees_the_old_place_free_and_the_new_one_taken() -> None:
    story = confirmed(1, room(1))
    before = story.session()
    seat = story.taken(before, requested(1))
    wish = moved(1, start(2))
    message = Message("m", wish.type, "", NOW, NOW, wish)
    after = decide(room(1), story.course(), message, NOW, Calendar.of([seat])).context
    assert after is not None
    for resource in seat.resources[:2]:
        assert after.is_free(resource, start(1), start(1) + HOUR)
        assert not after.is_free(resource, start(2), start(2) + HOUR)


def test_a_session_can_be_moved_by_an_hour_onto_its_own_place() -> None:
    story = confirmed(1, room(1))
    assert names(story.tell(moved(1, start(1) + HOUR))) == ["session.rescheduled"]


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
    assert refused(story.tell(moved(1, to))) is code
    assert story.course() is before


def test_a_session_is_not_moved_into_a_chair_that_is_taken() -> None:
    story = confirmed(1, room(1))
    story.tell(requested(course=OTHER, sessions=({"session_id": OTHER, "starts_at": start(2)},)))
    assert refused(story.tell(moved(1, start(2) + HOUR))) is Refusal.CHAIR_TAKEN


def test_the_gap_to_a_session_that_was_given_counts_when_another_is_moved() -> None:
    story = confirmed(2)
    story.now = start(1)
    story.tell(checked_in(1))
    story.tell(completed(1))
    assert refused(story.tell(moved(2, start(1) + 3 * HOUR))) is Refusal.TOO_CLOSE


def test_a_gap_that_a_cancelled_session_left_does_not_nail_the_others_down() -> None:
    story = confirmed(5)
    story.tell(cancel(2))
    story.tell(cancel(3))
    story.tell(cancel(4))
    assert names(story.tell(moved(5, start(5) + HOUR))) == ["session.rescheduled"]


def test_who_stood_at_the_desk_for_the_old_time_is_not_checked_in_for_the_new_one() -> None:
    story = accepted(3)
    story.tell(satisfied(3))
    story.deliver(start(1) - HOUR)
    story.tell(checked_in(1))
    assert names(story.tell(moved(1, start(1) + DAY))) == ["session.rescheduled"]
    assert names(story.tell(satisfied(1))) == ["session.confirmed"]


@pytest.mark.parametrize("before", [[checked_in()], [completed()], [cancel(1)]], ids=first_type)
def test_a_session_that_has_begun_or_ended_cannot_be_moved(before: list[EventData]) -> None:
    story = confirmed(2)
    story.now = start(1)
    for fact in before:
        story.tell(fact)
    assert refused(story.tell(moved(1, start(1) + DAY))) is Refusal.WRONG_STATE
