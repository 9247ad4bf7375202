"""What clinics ask for: a course, a move, a cancellation. Pure."""

from datetime import datetime

from services.booking.course import OCCUPYING, CourseState, Draft, Session, booked
from services.booking.grants import UNREPORTED_AFTER, end_hold
from services.booking.planning import Seats, Taken, rhythm, seat, seat_course, visit_of
from shared.contract import (
    BookedSession,
    By,
    Conflict,
    CourseAccepted,
    CourseCancelRequested,
    CourseRejected,
    CourseRequested,
    Refusal,
    SessionCancelled,
    SessionCancelRequested,
    SessionRescheduled,
    SessionRescheduleRequested,
    SessionState,
)
from shared.decision import Timer

S = SessionState


def on_course_requested(draft: Draft, request: CourseRequested) -> None:
    """Hold every session or none; decide then what had come before."""
    course = draft.course
    if course.state not in (CourseState.AWAITED, CourseState.REJECTED):
        if request != course.request:
            draft.refuse(Refusal.COURSE_EXISTS, "the course id is taken by a course with other content")
        return
    seated = _seats(draft, request)
    if isinstance(seated, CourseRejected):
        draft.course = course._replace(state=CourseState.REJECTED, request=request, waiting=())
        draft.events.append(seated)
    else:
        _accept(draft, request, seated)
    draft.timers.append(Timer("unknown_course", None))
    draft.replay[:0] = course.waiting


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
    draft.course = draft.course._replace(
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


def on_course_cancel(draft: Draft, wish: CourseCancelRequested) -> None:
    """Cancel what has not begun; a released place will not be held again either."""
    open_sessions = [s for s in draft.course.sessions if s.state in (S.HELD, S.CONFIRMED, S.RELEASED)]
    if not open_sessions:
        draft.refuse(Refusal.WRONG_STATE, "no session of the course can be cancelled any more")
    for session in open_sessions:
        draft.move(session, S.CANCELLED, SessionCancelled, by=wish.by)
    draft.timers.append(Timer("hold", None))
    end_hold(draft)


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
        session._replace(
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
