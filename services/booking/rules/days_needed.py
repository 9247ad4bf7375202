"""Which days of which place a message may look at: what must be read, and locked, before it is decided. Pure."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from services.booking.chairs.free_starts import DAY, LATER
from services.booking.chairs.location import ChairPlan, ChairPlans
from services.booking.chairs.series import days_of_request
from services.booking.rules.closures import ClosureRequested
from services.booking.rules.course import Course, TimerKind
from shared.contract.billing import PrepaymentSatisfied
from shared.contract.clinic import CourseChangeRequested, CourseRequested, SessionRescheduleRequested
from shared.contract.closed_sets import SessionState
from shared.contract.internal import TimerDue
from shared.decision.message import Message


class Sought(NamedTuple):
    """A day of a place, by its own clock, of which the calendar must be known; `patient_id` is for whom."""

    place: ChairPlan
    day: date
    patient_id: str


def sought(places: ChairPlans, course: Course | None, message: Message) -> Iterator[Sought]:
    """What a message may look at; nothing for most messages.

    What waits in the course is decided with the message, and so looks along.
    """
    data = message.data
    if isinstance(data, PrepaymentSatisfied) and not _released(course, data):
        return  # the most frequent first
    if isinstance(data, ClosureRequested):
        yield from _closed_days(places[data.location], data)
        return
    request = data if isinstance(data, CourseRequested) else course.request if course else None
    place = places.get(request.location) if request else None
    if request is None or place is None or request.treatment not in place.protocols:
        return
    days = _days(place, request, course, message)
    if days:
        for waiting in course.waiting if course else ():
            days |= _days(place, request, course, waiting)
    yield from (Sought(place, day, request.patient_id) for day in days)


def _released(course: Course | None, data: PrepaymentSatisfied) -> bool:
    session = course.session(data.session_id) if course else None
    return session is not None and session.state is SessionState.RELEASED


def _closed_days(place: ChairPlan, closure: ClosureRequested) -> Iterator[Sought]:
    first, last = place.location.local(closure.starts_at).date(), place.location.local(closure.ends_at).date()
    return (Sought(place, first + n * DAY, "") for n in range((last - first).days + 1))


def _days(place: ChairPlan, request: CourseRequested, course: Course | None, message: Message) -> set[date]:
    def day(at: datetime) -> date:
        return place.location.local(at).date()

    match message.data:
        case CourseRequested():
            return days_of_request(place, request, message.arrived_at)
        case SessionRescheduleRequested(starts_at=starts_at):
            return {day(starts_at)}
        case CourseChangeRequested(add_sessions=wishes):
            return {day(wish.starts_at) for wish in wishes or ()}
        case PrepaymentSatisfied(session_id=id):
            session = course.session(id) if course else None
            return {day(session.starts_at)} if session else set()
        case TimerDue(kind=TimerKind.HOLD) if course and course.waiting:  # late money, which comes next
            return {day(session.starts_at) for session in course.sessions}
        case TimerDue(kind=TimerKind.DISPLACED, subject=id):
            session = course.session(UUID(id)) if course else None
            return {day(session.starts_at) + n * DAY for n in range(LATER + 1)} if session else set()
        case _:
            return set()
