"""A course as a whole: what comes before it waits for it, and it is over when its sessions are."""

from uuid import UUID

import pytest

from services.booking.rules.course import CourseState
from services.booking.rules.decide import HEARS
from services.booking.store.board import NOTES
from shared.contract.booking import CourseClosed, CourseCompleted, CourseRejected, RequestRejected
from shared.contract.closed_sets import Refusal
from shared.contract.internal import TimerDue
from shared.contract.register import EVENTS, EventData
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, prepayment_withdrawn
from tests.facts.clinic import (
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NOW, start
from tests.stand_ins.booking_story import Story, accepted, confirmed, names, refused


def test_a_course_from_its_request_to_its_completion() -> None:
    story = accepted(2)
    for number in (1, 2):
        assert names(story.tell(prepayment_satisfied(number))) == ["session.confirmed"]
    for number in (1, 2):
        story.now = start(number)
        assert names(story.tell(patient_checked_in(number))) == ["session.checked_in"]
        *_, last = story.tell(treatment_completed(number))
    assert last == CourseCompleted(course_id=COURSE, sessions_completed=2)
    assert story.course().state is CourseState.COMPLETED
    assert (story.timers, story.attention) == ({}, [])


def test_a_course_with_one_completed_session_is_completed_whatever_became_of_the_others() -> None:
    story = confirmed(4)
    story.now = start(4)
    story.tell(treatment_completed(1))
    story.tell(patient_missed(2))
    story.tell(session_cancel_requested(3))
    *_, end = story.tell(patient_missed(4))
    assert end == CourseCompleted(course_id=COURSE, sessions_completed=1)


def test_a_course_of_which_nothing_was_given_is_closed() -> None:
    story = confirmed(2)
    story.tell(patient_missed(1))
    *_, end = story.tell(session_cancel_requested(2))
    assert end == CourseClosed.model_validate({"course_id": COURSE, "reason": "cancelled"})


def test_facts_wait_for_their_course_and_are_decided_after_it() -> None:
    story = Story(now=start(1) - HOUR)
    assert story.tell(prepayment_satisfied()) == []
    assert story.tell(patient_checked_in()) == []
    assert story.course().state is CourseState.AWAITED
    assert names(story.tell(course_requested(1))) == ["course.accepted", "session.confirmed", "session.checked_in"]
    assert story.course().waiting == ()
    assert (str(COURSE), "unknown_course", "") not in story.timers


def test_a_person_hears_after_a_day_of_what_waits_for_a_course_that_nobody_requests() -> None:
    story = Story()
    story.tell(prepayment_satisfied(1))
    story.now += HOUR
    story.tell(prepayment_satisfied(2))
    story.deliver(NOW + DAY - HOUR)
    assert story.attention == []
    story.deliver(NOW + DAY)
    assert [(a.kind, a.subject) for a in story.attention] == [("unknown_course", str(COURSE))]
    assert names(story.tell(course_requested())) == ["course.accepted", "session.confirmed", "session.confirmed"]


def test_what_waited_is_judged_by_when_it_came_not_by_when_it_is_decided() -> None:
    story = Story(now=start(1) - 13 * HOUR)
    story.tell(patient_checked_in())
    story.now = start(1) - HOUR
    assert names(story.tell(course_requested(1))) == ["course.accepted", "session.check_in_refused"]
    assert story.session().here_at is None


def test_what_waited_for_a_course_that_is_rejected_is_refused() -> None:
    story = Story()
    story.tell(patient_checked_in())
    rejected, refusal = story.tell(course_requested(location="nowhere"))
    assert isinstance(rejected, CourseRejected)
    assert isinstance(refusal, RequestRejected)
    assert (refusal.code, refusal.request_id) == (Refusal.UNKNOWN_COURSE, "message-1")
    assert story.course().waiting == ()
    assert story.timers == {}


def test_a_fact_about_a_rejected_course_is_refused() -> None:
    story = Story()
    story.tell(course_requested(location="nowhere"))
    assert refused(story.tell(prepayment_satisfied())) is Refusal.UNKNOWN_COURSE


@pytest.mark.parametrize(
    "fact",
    [
        prepayment_satisfied(),
        prepayment_overdue(),
        prepayment_withdrawn(),
        patient_checked_in(),
        treatment_completed(),
        patient_missed(),
        session_cancel_requested(1),
        session_reschedule_requested(1, start(2)),
    ],
    ids=lambda fact: fact.type,
)
def test_a_session_that_the_course_does_not_have_is_refused(fact: EventData) -> None:
    story = accepted()
    assert refused(story.tell(fact.model_copy(update={"session_id": UUID(int=9)}))) is Refusal.UNKNOWN_SESSION


def test_a_stored_timer_of_a_kind_that_no_rule_sets_is_a_defect() -> None:
    story = accepted()
    with pytest.raises(ValueError, match="'lunch' is not a valid TimerKind"):
        story.tell(TimerDue(of=str(COURSE), kind="lunch", subject="", due_at=NOW))


def test_every_topic_of_which_something_is_noted_is_listened_to() -> None:
    """The board notes replies, about which no rule decides."""
    assert {EVENTS[name].topic for name in NOTES} <= HEARS.keys()
    assert HEARS["reminders.events"] == frozenset()
