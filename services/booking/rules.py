"""Booking's decisions: one state machine for a visit. Pure: no I/O, no clock, no random ids.

A course is what its sessions are: accepted as a whole, over when each of them is over. What comes before the course
itself is known waits in the course and is decided afterwards, so that any order across topics reaches the same end.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.booking.course import OCCUPYING, OVER, Course, CourseState, Draft, Places, Session, booked
from services.booking.planning import Calendar, Seats, Taken, rhythm, seat, seat_course, visit_of
from shared.contract import (
    BookedSession,
    By,
    ClosedReason,
    Conflict,
    CourseAccepted,
    CourseCancelRequested,
    CourseChangeRequested,
    CourseClosed,
    CourseCompleted,
    CourseEvent,
    CourseRejected,
    CourseRequested,
    EventData,
    PatientCheckedIn,
    PatientMissed,
    PrepaymentOverdue,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    PricingRejected,
    Refusal,
    ReleaseReason,
    SessionCancelled,
    SessionCancelRequested,
    SessionCheckedIn,
    SessionCheckInRefused,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionRescheduleRequested,
    SessionState,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
    TimerDue,
    TreatmentCompleted,
)
from shared.decision import Attention, Decision, Timer
from shared.envelope import Message

S = SessionState

CHECK_IN_OPENS: Final = timedelta(hours=12)
"""Check-in is possible from this long before the start until the end (contract rule 2)."""

UNREPORTED_AFTER: Final = timedelta(hours=12)
"""A session of which the floor has told nothing this long after its end goes to a person (contract rule 10)."""

UNKNOWN_AFTER: Final = timedelta(hours=24)
"""What waits this long for a course that nobody requested goes to a person (contract rule 7)."""


def aggregate_of(message: Message) -> str:
    """The course that a message is about."""
    return message.data.key


# The request ---------------------------------------------------------------------------------------------------------


def on_course_requested(draft: Draft, request: CourseRequested) -> None:
    """Hold every session or none; decide then what had come before."""
    course = draft.course
    if course.state not in (CourseState.AWAITED, CourseState.REJECTED):
        if request != course.request:
            draft.refuse(Refusal.COURSE_EXISTS, "the course id is taken by a course with other content")
        return
    seated = _seats(draft, request)
    if isinstance(seated, CourseRejected):
        draft.course = replace(course, state=CourseState.REJECTED, request=request, waiting=())
        draft.events.append(seated)
    else:
        _accept(draft, request, seated)
    draft.timers.append(Timer("unknown_course", None))
    _decide_what_waited(draft, course.waiting)


def _seats(draft: Draft, request: CourseRequested) -> tuple[Taken, ...] | CourseRejected:
    place = draft.places.get(request.location)
    conflicts: tuple[Conflict, ...]
    if place is None:
        conflicts, detail = (Conflict(code=Refusal.UNKNOWN_LOCATION),), "no served clinic has this location"
    elif request.treatment not in place.protocols:
        conflicts, detail = (Conflict(code=Refusal.UNKNOWN_TREATMENT),), "the location has no protocol for it"
    elif request.sessions is None:
        conflicts, detail = (Conflict(code=Refusal.NO_PLAN_FOUND),), "plans are not worked out yet: name the sessions"
    else:
        seated = seat_course(draft.calendar, place, request, draft.now)
        if isinstance(seated, Seats):
            draft.calendar = seated.calendar
            return seated.taken
        conflicts, detail = seated, "every session must find its place"
    return CourseRejected(course_id=request.course_id, code=conflicts[0].code, detail=detail, conflicts=conflicts)


def _accept(draft: Draft, request: CourseRequested, seats: tuple[Taken, ...]) -> None:
    place = draft.places[request.location]
    hold_expires_at = min(draft.now + place.hold[request.payer], seats[0].starts_at)
    sessions = tuple(
        Session(taken.session_id, number, S.HELD, taken.starts_at, taken.ends_at, taken.chair, taken.provider)
        for number, taken in enumerate(seats, start=1)
    )
    draft.course = replace(
        draft.course,
        state=CourseState.ACCEPTED,
        request=request,
        hold_expires_at=hold_expires_at,
        hold_open=True,
        sessions=sessions,
        waiting=(),
    )
    draft.timers.append(Timer("hold", hold_expires_at))
    draft.events.append(
        CourseAccepted.model_construct(
            **request.model_dump(include={"course_id", "patient_id", "companions", "location", "treatment", "package"}),
            payer=request.payer,
            insurance=request.insurance,
            hold_expires_at=hold_expires_at,
            sessions=tuple(BookedSession.model_construct(**booked(draft.course, s, place)) for s in sessions),
        )
    )


def _decide_what_waited(draft: Draft, waiting: tuple[Message, ...]) -> None:
    cause, now = draft.message, draft.now
    for message in waiting:
        draft.message, draft.now = message, message.arrived_at
        _decide(draft)
    draft.message, draft.now = cause, now


# Money and cover -----------------------------------------------------------------------------------------------------


def on_satisfied(draft: Draft, fact: PrepaymentSatisfied, session: Session) -> None:
    """Answer a grant exactly once: confirmed, or released because the place is gone."""
    if fact.grant <= session.grant:
        return  # answered before
    if draft.course.hold_open and _hold_ran_out(draft):
        _wait(draft)  # too late for this hold, which its timer will release first
        return
    session = replace(session, grant=fact.grant)
    match session.state:
        case S.HELD:
            _confirm(draft, session)
        case S.CONFIRMED | S.CHECKED_IN | S.COMPLETED:
            draft.change(session, SessionConfirmed, grant=fact.grant)
        case S.RELEASED:
            _hold_again(draft, session)
        case S.CANCELLED | S.MISSED:
            draft.change(session, SessionReleased, grant=fact.grant, reason=ReleaseReason.SLOT_TAKEN)


def _wait(draft: Draft) -> None:
    draft.course = replace(draft.course, waiting=(*draft.course.waiting, draft.message))


def _hold_ran_out(draft: Draft) -> bool:
    return draft.course.hold_expires_at is not None and draft.now > draft.course.hold_expires_at


def _end_hold(draft: Draft) -> None:
    """Decide what came too late for the hold and so waited for its end."""
    late = draft.course.waiting
    draft.course = replace(draft.course, hold_open=False, waiting=())
    _decide_what_waited(draft, late)


def _confirm(draft: Draft, session: Session) -> None:
    if draft.course.hold_open:
        draft.course = replace(draft.course, hold_open=False)
        draft.timers.append(Timer("hold", None))
    draft.timers.append(Timer("unreported", session.ends_at + UNREPORTED_AFTER, str(session.session_id)))
    session = draft.move(session, S.CONFIRMED, SessionConfirmed, grant=session.grant)
    if session.here_at is not None and draft.now <= session.ends_at:
        draft.move(session, S.CHECKED_IN, SessionCheckedIn)


def _hold_again(draft: Draft, session: Session) -> None:
    """Late money: take the same time again, in whichever chair is free, before a word is given."""
    if session.starts_at > draft.now:
        found = seat(
            draft.calendar,
            draft.place,
            draft.request.patient_id,
            session.session_id,
            session.starts_at,
            session.ends_at,
        )
        if isinstance(found, Taken):
            draft.calendar = draft.calendar.take(found)
            if draft.course.state in (CourseState.CLOSED, CourseState.COMPLETED):
                draft.course = replace(draft.course, state=CourseState.ACCEPTED)  # reopened
            _confirm(draft, replace(session, chair=found.chair, provider=found.provider))
            return
    draft.change(session, SessionReleased, grant=session.grant, reason=ReleaseReason.SLOT_TAKEN)


def on_overdue(draft: Draft, session: Session) -> None:
    """Give the place up, unless the money crossed on its way."""
    if session.state is S.HELD:
        draft.move(session, S.RELEASED, SessionReleased, grant=session.grant, reason=ReleaseReason.OVERDUE)


def on_withdrawn(draft: Draft, fact: PrepaymentWithdrawn, session: Session) -> None:
    """Take a confirmation back, unless the patient is already in the chair or the session is over."""
    if session.state is S.CONFIRMED:
        draft.timers.append(Timer("unreported", None, str(session.session_id)))
        draft.move(session, S.HELD, SessionUnconfirmed, grant=fact.grant, reason=fact.reason)
    else:
        draft.change(session, SessionWithdrawalRefused, grant=fact.grant, reason=Refusal.WRONG_STATE)


def release_all(draft: Draft, reason: ReleaseReason) -> None:
    """Give every held place of the course up."""
    for session in draft.course.sessions:
        if session.state is S.HELD:
            draft.move(session, S.RELEASED, SessionReleased, grant=session.grant, reason=reason)


# Wishes --------------------------------------------------------------------------------------------------------------


def on_course_cancel(draft: Draft, wish: CourseCancelRequested) -> None:
    """Cancel what has not begun; a released place will not be held again either."""
    open_sessions = [s for s in draft.course.sessions if s.state in (S.HELD, S.CONFIRMED, S.RELEASED)]
    if not open_sessions:
        draft.refuse(Refusal.WRONG_STATE, "no session of the course can be cancelled any more")
    for session in open_sessions:
        draft.move(session, S.CANCELLED, SessionCancelled, by=wish.by)
    draft.timers.append(Timer("hold", None))
    _end_hold(draft)


def on_session_cancel(draft: Draft, wish: SessionCancelRequested, session: Session) -> None:
    """Cancel one session."""
    if session.state in (S.HELD, S.CONFIRMED, S.RELEASED):
        draft.move(session, S.CANCELLED, SessionCancelled, by=wish.by)
    else:
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be cancelled")


def on_reschedule(draft: Draft, wish: SessionRescheduleRequested, session: Session) -> None:
    """Move one session: the old place is given up only when the new one is held; what is paid stays paid."""
    if session.state not in (S.HELD, S.CONFIRMED):
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be moved")
        return
    ends_at = wish.starts_at + visit_of(draft.place.protocols[draft.request.treatment], draft.request)
    elsewhere = draft.calendar.free(session.session_id)
    found = seat(elsewhere, draft.place, draft.request.patient_id, session.session_id, wish.starts_at, ends_at)
    if wish.starts_at <= draft.now:
        found = Refusal.IN_PAST
    clashes = _new_clashes(draft, session, wish.starts_at)
    if isinstance(found, Refusal) or clashes:
        code = found if isinstance(found, Refusal) else clashes[0].code
        draft.refuse(code, "the session stays where it is")
        return
    draft.calendar = elsewhere.take(found)
    if session.state is S.CONFIRMED:
        draft.timers.append(Timer("unreported", ends_at + UNREPORTED_AFTER, str(session.session_id)))
    draft.change(
        replace(
            session,
            starts_at=wish.starts_at,
            ends_at=ends_at,
            chair=found.chair,
            provider=found.provider,
            here_at=None,  # who stood here came for the old time
        ),
        SessionRescheduled,
        previous_starts_at=session.starts_at,
        by=By.PATIENT,
    )


def _new_clashes(draft: Draft, session: Session, starts_at: datetime) -> list[Conflict]:
    """What a move does to the series; what was wrong before, as around a cancelled session, is not held against it."""
    protocol = draft.place.protocols[draft.request.treatment]
    counting = [s for s in draft.course.sessions if s.state in OCCUPYING or s.state is S.COMPLETED]
    now = [(s.session_id, s.starts_at) for s in counting]
    then = [(id, starts_at if id == session.session_id else start) for id, start in now]
    before = rhythm(protocol, sorted(now, key=lambda start: start[1]))
    return [clash for clash in rhythm(protocol, sorted(then, key=lambda start: start[1])) if clash not in before]


# The floor -----------------------------------------------------------------------------------------------------------


def on_checked_in(draft: Draft, fact: PatientCheckedIn, session: Session) -> None:
    """The gate: nobody is treated unpaid; who came a moment before the money is let in when it comes."""
    if fact.starts_at is not None and fact.starts_at != session.starts_at:
        draft.change(session, SessionCheckInRefused, reason=Refusal.STALE)
    elif draft.now < session.starts_at - CHECK_IN_OPENS:
        draft.change(session, SessionCheckInRefused, reason=Refusal.TOO_EARLY)
    elif session.state is S.CONFIRMED and draft.now <= session.ends_at:
        draft.move(session, S.CHECKED_IN, SessionCheckedIn)
    elif session.state is S.HELD:
        draft.change(replace(session, here_at=fact.at), SessionCheckInRefused, reason=Refusal.NOT_PAID)
    else:
        draft.change(session, SessionCheckInRefused, reason=Refusal.WRONG_STATE)


def on_completed(draft: Draft, fact: TreatmentCompleted, session: Session) -> None:
    """A treatment that was given is a fact, paid or not."""
    if session.state is S.COMPLETED:
        draft.refuse(Refusal.WRONG_STATE, "the session is completed already")
        return
    if session.state not in (S.CHECKED_IN, S.CONFIRMED):
        draft.attention.append(
            Attention("unexpected_completion", str(session.session_id), f"completed while {session.state}")
        )
    draft.move(
        session,
        S.COMPLETED,
        SessionCompleted,
        started_at=fact.started_at,
        ended_at=fact.ended_at,
        services=fact.services,
    )


def on_missed(draft: Draft, fact: PatientMissed, session: Session) -> None:
    """Nobody came."""
    if fact.starts_at is not None and fact.starts_at != session.starts_at:
        draft.refuse(Refusal.STALE, "the session has another time")
    elif session.state in (S.HELD, S.CONFIRMED):
        draft.move(session, S.MISSED, SessionMissed)
    else:
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be missed")


# Deadlines -----------------------------------------------------------------------------------------------------------


def on_timer(draft: Draft, timer: TimerDue) -> None:
    """A deadline of this course has passed."""
    match timer.kind:
        case "hold":
            if draft.course.hold_open:
                release_all(draft, ReleaseReason.HOLD_EXPIRED)
                _end_hold(draft)
        case "unreported":
            draft.attention.append(Attention("unreported_session", timer.subject, "12 hours after its end"))
        case "unknown_course":
            draft.attention.append(Attention("unknown_course", timer.of, "something waits for it"))
        case other:
            raise ValueError(f"unknown timer {other}")


# The map of the service ----------------------------------------------------------------------------------------------


def decide(
    places: Places, course: Course | None, message: Message, now: datetime, calendar: Calendar
) -> Decision[Course, Calendar]:
    """What follows from one message about one course.

    Args:
        places: every served location.
        calendar: what is taken, in the locations and for the patients that the batch concerns.
    """
    known = course or Course(UUID(message.data.key))
    draft = Draft(places, known, message, now, calendar)
    _decide(draft)
    _end(draft)
    return draft.decision()


def _decide(draft: Draft) -> None:
    data = draft.message.data
    if isinstance(data, CourseRequested):
        on_course_requested(draft, data)
    elif isinstance(data, TimerDue):
        on_timer(draft, data)
    elif draft.course.state is CourseState.AWAITED:
        if not draft.course.waiting:
            draft.timers.append(Timer("unknown_course", draft.now + UNKNOWN_AFTER))
        _wait(draft)
    elif draft.course.waiting and type(data).topic == PrepaymentSatisfied.topic:
        _wait(draft)  # behind money that waits for the hold's end: billing's order is kept
    elif draft.course.state is CourseState.REJECTED:
        draft.refuse(Refusal.UNKNOWN_COURSE, "the course was rejected")
    elif isinstance(data, CourseCancelRequested):
        on_course_cancel(draft, data)
    elif isinstance(data, CourseChangeRequested):
        draft.refuse(Refusal.WRONG_STATE, "a course cannot be changed yet: cancel it and request another")
    elif isinstance(data, PricingRejected):
        release_all(draft, ReleaseReason.UNPRICED)
    else:
        _decide_session(draft, data)


def _decide_session(draft: Draft, data: EventData) -> None:
    session = draft.course.session(getattr(data, "session_id"))  # noqa: B009 - every type below has one
    if session is None:
        draft.refuse(Refusal.UNKNOWN_SESSION, "the course has no such session")
        return
    match data:
        case PrepaymentSatisfied():
            on_satisfied(draft, data, session)
        case PrepaymentOverdue():
            on_overdue(draft, session)
        case PrepaymentWithdrawn():
            on_withdrawn(draft, data, session)
        case SessionCancelRequested():
            on_session_cancel(draft, data, session)
        case SessionRescheduleRequested():
            on_reschedule(draft, data, session)
        case PatientCheckedIn():
            on_checked_in(draft, data, session)
        case TreatmentCompleted():
            on_completed(draft, data, session)
        case PatientMissed():
            on_missed(draft, data, session)
        case other:
            raise TypeError(f"booking does not hear {type(other).__name__}")


def _end(draft: Draft) -> None:
    """A course is over when each of its sessions is; a treatment that is told of late completes a closed one."""
    course = draft.course
    if course.state not in (CourseState.ACCEPTED, CourseState.CLOSED) or any(
        s.state not in OVER for s in course.sessions
    ):
        return
    completed = sum(s.state is S.COMPLETED for s in course.sessions)
    end: CourseEvent
    if course.state is CourseState.CLOSED and not completed:
        return
    if completed:
        draft.course = replace(course, state=CourseState.COMPLETED)
        end = CourseCompleted(course_id=course.course_id, sessions_completed=completed)
    else:
        cancelled = any(s.state is S.CANCELLED for s in course.sessions)
        draft.course = replace(course, state=CourseState.CLOSED)
        end = CourseClosed(
            course_id=course.course_id, reason=ClosedReason.CANCELLED if cancelled else ClosedReason.RELEASED
        )
    draft.events.append(end)


def needs_calendar(course: Course | None, message: Message) -> bool:
    """Whether a message may look for a place, so that the calendar must be read and locked for it."""
    match message.data:
        case CourseRequested() | SessionRescheduleRequested():
            return True
        case PrepaymentSatisfied() as fact:
            session = course.session(fact.session_id) if course else None
            return session is not None and session.state is S.RELEASED
        case TimerDue(kind="hold"):
            return True
        case _:
            return False


HEARS: Final[Mapping[str, frozenset[str]]] = {
    "clinic.requests": frozenset(
        event.type
        for event in (
            CourseRequested,
            CourseChangeRequested,
            CourseCancelRequested,
            SessionRescheduleRequested,
            SessionCancelRequested,
        )
    ),
    "clinic.sessions": frozenset(event.type for event in (PatientCheckedIn, TreatmentCompleted, PatientMissed)),
    "billing.events": frozenset(
        event.type for event in (PrepaymentSatisfied, PrepaymentOverdue, PrepaymentWithdrawn, PricingRejected)
    ),
}
"""What booking acts upon, by topic."""
