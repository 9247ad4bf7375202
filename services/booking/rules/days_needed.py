"""Which days of which location a batch may look at: what must be read, and locked, before it is decided. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple
from uuid import UUID

from services.booking.chairs.free_starts import DAY, LATER
from services.booking.chairs.location import ChairPlan, ChairPlans
from services.booking.chairs.series import days_of_request
from services.booking.rules.closures import ClosureRequested
from services.booking.rules.course import Course, TimerKind
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PricingRejected
from shared.contract.clinic import CourseChangeRequested, CourseRequested, SessionRescheduleRequested
from shared.contract.closed_sets import SessionState
from shared.contract.internal import TimerDue
from shared.decision.message import Message


class Sought(NamedTuple):
    """A day of a location, by its own clock, for which the calendar must be loaded; `patient_id` is for whom."""

    place: ChairPlan
    day: date
    patient_id: str


RELEASING: Final = frozenset({PrepaymentOverdue, PricingRejected, TimerDue})
"""With one of these in its batch, money may find a session released that was held when it was loaded."""


def sought(places: ChairPlans, courses: Mapping[str, Course], messages: Sequence[Message]) -> list[Sought]:
    """What the messages of a batch may look at, in order; most look at nothing.

    Args:
        courses: as they were loaded, by their key.
    """
    requests: dict[str, list[CourseRequested]] = {}
    releasing: set[str] = set()
    for message in messages:
        if isinstance(message.data, CourseRequested):
            requests.setdefault(message.data.key, []).append(message.data)
        elif type(message.data) in RELEASING:
            releasing.add(message.data.key)
    found: list[Sought] = []
    for message in messages:
        data, key = message.data, message.data.key
        course = courses.get(key)
        if isinstance(data, PrepaymentSatisfied) and not (key in releasing or _released(course, data)):
            continue  # the most frequent first
        if isinstance(data, ClosureRequested):
            found += _closed_days(places[data.location], data)
        elif isinstance(data, CourseRequested):
            found += _course_days(places, data, course, message)
        else:
            if course is not None and course.request is not None:
                found += _course_days(places, course.request, course, message)
            for request in requests.get(key, ()):  # the course may become what is asked for in this batch
                found += _course_days(places, request, course, message)
    return found


def _course_days(
    places: ChairPlans, request: CourseRequested, course: Course | None, message: Message
) -> Iterator[Sought]:
    """What a message may look at, of a course that is as requested. What waits in it is decided along."""
    place = places.get(request.location)
    if place is None or request.treatment not in place.protocols:
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


def stretches(seen: Sequence[Sought]) -> dict[str, list[tuple[datetime, datetime]]]:
    """By location, from when until when its calendar is read, in UTC: days that follow one another are one stretch."""
    places = {one.place.name: one.place for one in seen}
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for name, place in places.items():
        days = sorted({one.day for one in seen if one.place is place})
        begins = days[0]
        for day, following in zip(days, [*days[1:], None], strict=True):
            if following != day + DAY:
                found.setdefault(name, []).append((_midnight(place, begins), _midnight(place, day + DAY)))
                begins = following or begins
    return found


def _midnight(place: ChairPlan, day: date) -> datetime:
    return datetime.combine(day, time(), place.location.tz).astimezone(UTC)
