"""Changes of an accepted course: moves of sessions, further sessions, who pays and who comes along. Pure."""

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.free_starts import later_seat
from services.booking.chairs.rhythm import clashes
from services.booking.chairs.seating import Seat, Seated, seat, seat_all
from services.booking.rules.course import IN_SERIES, OCCUPYING, CourseState, Session, TimerKind
from services.booking.rules.draft import Draft
from services.booking.rules.grants import UNREPORTED_AFTER, too_close
from services.booking.rules.telling import course_in_events
from shared.contract.booking import Conflict, CourseChanged, SessionRescheduled
from shared.contract.clinic import CourseChangeRequested, RequestedSession, SessionRescheduleRequested
from shared.contract.closed_sets import By, Refusal, SessionState


def on_course_change(draft: Draft, wish: CourseChangeRequested) -> None:
    """Change all that is wished, or nothing."""
    course, protocol = draft.course, draft.visitor.protocol
    if course.state is not CourseState.ACCEPTED:
        draft.refuse(Refusal.WRONG_STATE, f"a course that is {course.state} cannot be changed")
        return
    if wish.companions == () and protocol.companion_required:
        draft.refuse(Refusal.COMPANION_MISSING, "somebody must come along")
        return
    if wish.add_sessions:
        added = _added(draft, wish.add_sessions)
        if not isinstance(added, Seated):
            draft.refuse(added[0].code, "the course stays as it is: not every further session finds its place")
            return
        numbers = range(len(course.sessions) + 1, len(course.sessions) + len(added.taken) + 1)
        further = (Session.held(draft.place, number, taken) for number, taken in zip(numbers, added.taken, strict=True))
        draft.course = course._replace(sessions=(*course.sessions, *further))
        draft.calendar = added.calendar
    terms = {
        name: value
        for name, value in (("payer", wish.payer), ("insurance", wish.insurance), ("companions", wish.companions))
        if value is not None
    }
    if terms:
        draft.course = draft.course._replace(
            request=draft.request.model_copy(update=terms), original=course.original or course.request
        )
    draft.events.append(CourseChanged.model_construct(**course_in_events(draft.course)))


def _added(draft: Draft, wishes: tuple[RequestedSession, ...]) -> Seated | tuple[Conflict, ...]:
    visitor, course = draft.visitor, draft.course
    series = [(s.session_id, s.starts_at) for s in course.sessions if s.state in IN_SERIES]
    longer = [*series, *((wish.session_id, wish.starts_at) for wish in wishes)]
    conflicts = clashes(visitor.protocol, draft.place.location, series, longer)
    largest = visitor.protocol.largest_count
    if largest is not None and len(longer) > largest:
        conflicts.append(Conflict(code=Refusal.WRONG_COUNT))
    return seat_all(draft.calendar, draft.place, visitor, wishes, draft.now, conflicts)


def on_reschedule(draft: Draft, wish: SessionRescheduleRequested, session: Session) -> None:
    """Move one session: the old seat is given up only when there is a new one; what is paid stays paid.

    One that was missed or released begins again: it is held, and what it needs is asked for anew.
    """
    if session.state not in (SessionState.HELD, SessionState.CONFIRMED, SessionState.MISSED, SessionState.RELEASED):
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be moved")
        return
    if session.state is SessionState.RELEASED and draft.course.state is CourseState.CLOSED and not session.grant:
        draft.refuse(Refusal.WRONG_STATE, "the course was released whole: request it anew")  # it may have no price
        return
    elsewhere = draft.calendar.without(session.session_id)
    found = seat(elsewhere, draft.place, draft.visitor, wish.starts_at)
    if wish.starts_at <= draft.now:
        found = Refusal.IN_PAST
    if not isinstance(found, Refusal):
        found = _out_of_rhythm(draft, session, found) or found
    if isinstance(found, Refusal):
        draft.refuse(found, "the session stays where it is")
    else:
        _move(draft, session, found, elsewhere, By.PATIENT)


def _out_of_rhythm(draft: Draft, session: Session, found: Seat) -> Refusal | None:
    if session.state not in OCCUPYING:
        return Refusal.TOO_CLOSE if too_close(draft, session, found.starts_at) else None
    others = draft.others(session)
    before = [*others, (session.session_id, session.starts_at)]
    after = [*others, (session.session_id, found.starts_at)]
    new = clashes(draft.visitor.protocol, draft.place.location, before, after)
    return new[0].code if new else None


def _move(draft: Draft, session: Session, found: Seat, elsewhere: Calendar, by: By) -> None:
    moved = session.seated(draft.place, found)
    draft.calendar = elsewhere.take(draft.taken(moved))
    if found.starts_at != session.starts_at:
        moved = moved._replace(here_at=None)  # who stood here came for the old time
    if session.state in OCCUPYING:
        if session.state is SessionState.CONFIRMED:
            draft.set_timer(TimerKind.UNREPORTED, found.ends_at + UNREPORTED_AFTER, session.session_id)
        draft.change(moved, SessionRescheduled, previous_starts_at=session.starts_at, by=by)
    else:
        draft.reopen()
        draft.move(moved, SessionState.HELD, previous_starts_at=session.starts_at, by=by)


def on_displaced(draft: Draft, session: Session) -> None:
    """Move a session that sits where something is closed: to another seat at the same time, else to the next.

    Where there is none within two weeks it stays, and a person must talk to the patient.
    """
    place, visitor, id = draft.place, draft.visitor, session.session_id
    is_movable = session.state in (SessionState.HELD, SessionState.CONFIRMED)
    if not (is_movable and draft.calendar.displaces(draft.taken(session))):
        return  # over, in the chair, or moved meanwhile
    elsewhere = draft.calendar.without(id)
    found = seat(elsewhere, place, visitor, session.starts_at)
    if isinstance(found, Refusal):
        at = (id, session.starts_at)
        later = later_seat(elsewhere, place, visitor, at, draft.others(session), draft.now)
        if later is None:
            draft.raise_attention("closure_unmoved", id, "its place is closed and no other is free")
            return
        found = later
    _move(draft, session, found, elsewhere, By.CLINIC)
