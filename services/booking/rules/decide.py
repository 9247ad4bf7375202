"""Booking's decisions: one state machine for a visit. Pure: no I/O, no clock, no random ids.

The map of the service stands at the end: which request, fact or deadline goes to which rule. A course is accepted as a
whole, and over when each of its sessions is over. What comes before the course is known waits in the course and is
decided afterwards, so that any order across topics reaches the same end.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, assert_never
from uuid import UUID

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.location import ChairPlans
from services.booking.rules.changes import on_course_change, on_displaced, on_reschedule
from services.booking.rules.closures import Closure, ClosureRequested, on_closure_requested
from services.booking.rules.course import OVER, Course, CourseState, Session, TimerKind
from services.booking.rules.draft import Draft
from services.booking.rules.grants import end_hold, on_overdue, on_satisfied, on_unpriced, on_withdrawn, release_all
from services.booking.rules.requests import on_course_cancel, on_course_requested, on_session_cancel
from services.booking.rules.visits import on_checked_in, on_completed, on_missed
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PrepaymentWithdrawn, PricingRejected
from shared.contract.booking import CourseClosed, CourseCompleted
from shared.contract.clinic import (
    CourseCancelRequested,
    CourseChangeRequested,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    SessionCancelRequested,
    SessionRescheduleRequested,
    TreatmentCompleted,
)
from shared.contract.closed_sets import ClosedReason, Refusal, ReleaseReason, SessionState
from shared.contract.internal import TimerDue
from shared.contract.register import CourseEvent, EventData
from shared.contract.reminders import ReplyReceived
from shared.decision.decision import Decision
from shared.decision.draft import UNKNOWN_COURSE
from shared.decision.message import Message


def aggregate_of(message: Message) -> str:
    """The course that a message is about, or the closure."""
    return message.data.key


def on_timer(draft: Draft, timer: TimerDue) -> None:
    """A deadline of this course has passed.

    Raises:
        ValueError: no rule sets a timer of this kind.
    """
    match TimerKind(timer.kind):
        case TimerKind.HOLD:
            if draft.course.hold_open:
                release_all(draft, ReleaseReason.HOLD_EXPIRED)
                end_hold(draft)
        case TimerKind.UNREPORTED:
            draft.raise_attention("unreported_session", timer.subject, "12 hours after its end")
        case TimerKind.UNKNOWN:
            draft.raise_attention(UNKNOWN_COURSE, timer.of, "something waits for it")
        case TimerKind.DISPLACED:
            session = draft.course.session(UUID(timer.subject))
            if session is not None:
                on_displaced(draft, session)
        case never:
            assert_never(never)


def decide(
    places: ChairPlans, state: Course | Closure | None, message: Message, now: datetime, calendar: Calendar
) -> Decision[Course | Closure, Calendar]:
    """What follows from one message about one course, or one closure.

    Args:
        places: every served location.
        calendar: what is taken, in the locations and for the patients that the batch concerns.
    """
    if isinstance(message.data, ClosureRequested):
        assert not isinstance(state, Course)
        return on_closure_requested(state, places[message.data.location], message.data, now, calendar)
    assert not isinstance(state, Closure)
    known = state or Course(UUID(message.data.key))
    draft = Draft(places, known, message, now, calendar)
    _decide(draft)
    while draft.replay:
        draft.message = draft.replay.pop(0)
        draft.now = draft.message.arrived_at
        _decide(draft)
    _end(draft)
    return draft.decided(draft.course, draft.calendar)


def _decide(draft: Draft) -> None:
    data, course = draft.message.data, draft.course
    if (rule := AT_ANY_TIME.get(type(data))) is not None:
        rule(draft, data)
    elif course.state is CourseState.AWAITED:
        draft.wait_for_course()
    elif course.waiting and type(data).topic == PrepaymentSatisfied.topic:
        draft.wait_for_hold()  # behind money that waits for the hold's end: billing's order is kept
    elif course.state is CourseState.REJECTED:
        draft.refuse(Refusal.UNKNOWN_COURSE, "the course was rejected")
    elif (rule := ON_COURSE.get(type(data))) is not None:
        rule(draft, data)
    else:
        _decide_session(draft, data)


def _decide_session(draft: Draft, data: Any) -> None:
    rule = ON_SESSION[type(data)]
    session = draft.course.session(data.session_id)
    if session is None:
        draft.refuse(Refusal.UNKNOWN_SESSION, "the course has no such session")
    else:
        rule(draft, data, session)


def _end(draft: Draft) -> None:
    """A course is over when each of its sessions is; a treatment that is told of late completes a closed one."""
    course = draft.course
    if course.state not in (CourseState.ACCEPTED, CourseState.CLOSED) or any(
        s.state not in OVER for s in course.sessions
    ):
        return
    completed = sum(s.state is SessionState.COMPLETED for s in course.sessions)
    end: CourseEvent
    if course.state is CourseState.CLOSED and not completed:
        return
    if completed:
        draft.course = course._replace(state=CourseState.COMPLETED)
        end = CourseCompleted(course_id=course.course_id, sessions_completed=completed)
    else:
        cancelled = any(s.state is SessionState.CANCELLED for s in course.sessions)
        draft.course = course._replace(state=CourseState.CLOSED)
        end = CourseClosed(
            course_id=course.course_id, reason=ClosedReason.CANCELLED if cancelled else ClosedReason.RELEASED
        )
    draft.events.append(end)


AT_ANY_TIME: Final[Mapping[type[EventData], Callable[[Draft, Any], None]]] = {
    CourseRequested: on_course_requested,
    TimerDue: on_timer,
}
"""What is decided wherever the course stands. Everything else waits where the course is not known yet, and is refused
where it was rejected.
"""

ON_COURSE: Final[Mapping[type[EventData], Callable[[Draft, Any], None]]] = {
    CourseChangeRequested: on_course_change,
    CourseCancelRequested: on_course_cancel,
    PricingRejected: on_unpriced,
}

ON_SESSION: Final[Mapping[type[EventData], Callable[[Draft, Any, Session], None]]] = {
    SessionRescheduleRequested: on_reschedule,
    SessionCancelRequested: on_session_cancel,
    PatientCheckedIn: on_checked_in,
    TreatmentCompleted: on_completed,
    PatientMissed: on_missed,
    PrepaymentSatisfied: on_satisfied,
    PrepaymentOverdue: on_overdue,
    PrepaymentWithdrawn: on_withdrawn,
}


def _hears() -> dict[str, frozenset[str]]:
    heard: dict[str, set[str]] = {}
    for event in (*AT_ANY_TIME, *ON_COURSE, *ON_SESSION):
        if hasattr(event, "topic"):
            heard.setdefault(event.topic, set()).add(event.type)
    heard[ReplyReceived.topic] = set()  # nothing is decided about a reply: `store.board` notes it
    return {topic: frozenset(types) for topic, types in heard.items()}


HEARS: Final[Mapping[str, frozenset[str]]] = _hears()
"""What booking acts upon, by topic."""
