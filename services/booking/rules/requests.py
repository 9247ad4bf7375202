"""Requests for a course, and to cancel one or all of its sessions. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.booking.chairs.calendar import Taken
from services.booking.chairs.free_starts import alternatives
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.seating import Seated, missing, seat_course
from services.booking.chairs.series import days_of_request, plan_course
from services.booking.rules.course import TRANSITIONS, CourseState, Session, TimerKind
from services.booking.rules.draft import Draft
from services.booking.rules.grants import end_hold
from services.booking.rules.telling import course_in_events
from shared.contract.booking import Alternative, Conflict, CourseAccepted, CourseRejected
from shared.contract.clinic import CourseCancelRequested, CourseRequested, SessionCancelRequested
from shared.contract.closed_sets import Refusal, SessionState

CANCELLABLE: Final = frozenset(state for state, ways in TRANSITIONS.items() if SessionState.CANCELLED in ways)


def on_course_requested(draft: Draft, request: CourseRequested) -> None:
    """Hold every session or none; decide then what had come before."""
    course = draft.course
    if course.state not in (CourseState.AWAITED, CourseState.REJECTED):
        if request != (course.original or course.request):
            draft.refuse(Refusal.COURSE_EXISTS, "the course id is taken by a course with other content")
        return
    seated = _seats(draft, request)
    if isinstance(seated, CourseRejected):
        draft.course = course._replace(state=CourseState.REJECTED, request=request, waiting=())
        draft.events.append(seated)
    else:
        _accept(draft, request, seated)
    draft.set_timer(TimerKind.UNKNOWN, None)
    draft.replay[:0] = course.waiting


def _seats(draft: Draft, request: CourseRequested) -> tuple[Taken, ...] | CourseRejected:
    place = draft.places.get(request.location)
    if place is None:
        return _rejected(request, [Conflict(code=Refusal.UNKNOWN_LOCATION)], "no served clinic has this location")
    if request.treatment not in place.protocols:
        return _rejected(request, [Conflict(code=Refusal.UNKNOWN_TREATMENT)], "the location has no protocol for it")
    wanted = request if request.plan is None else _planned(draft, place, request)
    if isinstance(wanted, CourseRejected):
        return wanted
    seated = seat_course(draft.calendar, place, wanted, draft.now)
    if isinstance(seated, Seated):
        draft.calendar = seated.calendar
        return seated.taken
    days = days_of_request(place, request, draft.now)
    wrong = dict.fromkeys(c.session_id for c in seated if c.session_id and c.code is not Refusal.COURSE_EXISTS)
    other = ((id, alternatives(draft.calendar, place, request, id, days, draft.now)) for id in wrong)
    named = tuple(Alternative(session_id=id, starts_at=starts) for id, starts in other if starts)
    return _rejected(request, seated, "every session must find its place", alternatives=named)


def _planned(draft: Draft, place: ChairPlan, request: CourseRequested) -> CourseRequested | CourseRejected:
    """The request with its plan worked out."""
    assert request.plan is not None
    protocol = place.protocols[request.treatment]
    if refusals := missing(protocol, place.location, request):
        return _rejected(request, [Conflict(code=code) for code in refusals], "the protocol needs more, or less")
    planned = plan_course(draft.calendar, place, request, request.plan, draft.now)
    if isinstance(planned, tuple):
        return request.model_copy(update={"sessions": planned, "plan": None})
    is_past = request.plan.first_day < place.location.local(draft.now).date()
    code, detail = (
        (Refusal.IN_PAST, "the first day has passed")
        if is_past
        else (Refusal.NO_PLAN_FOUND, "the series finds no place whole when it begins in this week")
    )
    return _rejected(request, [Conflict(code=code)], detail, nearest_start=planned)


def _rejected(
    request: CourseRequested,
    conflicts: Iterable[Conflict],
    detail: str,
    alternatives: tuple[Alternative, ...] = (),
    nearest_start: datetime | None = None,
) -> CourseRejected:
    named = tuple(conflicts)
    return CourseRejected(
        course_id=request.course_id,
        code=named[0].code,
        detail=detail,
        conflicts=named,
        alternatives=alternatives or None,
        nearest_start=nearest_start,
    )


def _accept(draft: Draft, request: CourseRequested, seats: tuple[Taken, ...]) -> None:
    place = draft.places[request.location]
    hold_expires_at = min(draft.now + place.hold[request.payer], seats[0].starts_at)
    draft.course = draft.course._replace(
        state=CourseState.ACCEPTED,
        request=request,
        hold_expires_at=hold_expires_at,
        hold_open=True,
        sessions=tuple(Session.held(place, number, taken) for number, taken in enumerate(seats, start=1)),
        waiting=(),
    )
    draft.set_timer(TimerKind.HOLD, hold_expires_at)
    draft.events.append(CourseAccepted.model_construct(**course_in_events(draft.course)))


def on_course_cancel(draft: Draft, wish: CourseCancelRequested) -> None:
    """Cancel every session that is held, confirmed or released; late money holds none of them again."""
    open_sessions = [s for s in draft.course.sessions if s.state in CANCELLABLE]
    if not open_sessions:
        draft.refuse(Refusal.WRONG_STATE, "no session of the course can be cancelled any more")
    for session in open_sessions:
        draft.move(session, SessionState.CANCELLED, by=wish.by)
    draft.set_timer(TimerKind.HOLD, None)
    end_hold(draft)


def on_session_cancel(draft: Draft, wish: SessionCancelRequested, session: Session) -> None:
    """Cancel one session that is held, confirmed or released."""
    if session.state in CANCELLABLE:
        draft.move(session, SessionState.CANCELLED, by=wish.by)
    else:
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be cancelled")
