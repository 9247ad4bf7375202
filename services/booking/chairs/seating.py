"""Whether a time can be had: a chair and a provider for each session, and the rhythm of a series. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import Place
from services.booking.chairs.protocol import Protocol, Visit
from services.booking.chairs.rhythm import rhythm
from shared.configuration.clinic import WEEKDAYS, Location
from shared.contract.booking import Conflict
from shared.contract.clinic import CourseRequested, RequestedSession
from shared.contract.closed_sets import Refusal


class Visitor(NamedTuple):
    """Whom a place is for, and what for. `visit` may differ from the protocol's: own minutes go before it."""

    course_id: UUID
    patient_id: str
    protocol: Protocol
    visit: Visit

    @classmethod
    def of(cls, request: CourseRequested, place: Place) -> "Visitor":
        """Who asks, at a place that has a protocol for it."""
        protocol = place.protocols[request.treatment]
        return cls(request.course_id, request.patient_id, protocol, protocol.visit_of(request.minutes))


class Seats(NamedTuple):
    """Places for many sessions of a course, and the calendar with them in it."""

    taken: tuple[Taken, ...]
    calendar: Calendar


def seat(calendar: Calendar, place: Place, visitor: Visitor, session_id: UUID, starts_at: datetime) -> Taken | Refusal:
    """A chair and a provider for one session, the first free of each in the profile's order, or why there is none."""
    ends_at = starts_at + visitor.visit.whole
    if not place.location.is_open(starts_at, ends_at) or calendar.is_closed(place.name, starts_at, ends_at):
        return Refusal.CLOSED
    weekdays = visitor.protocol.weekdays
    if weekdays is not None and WEEKDAYS[place.location.local(starts_at).weekday()] not in weekdays:
        return Refusal.CLOSED
    if not calendar.is_free(visitor.patient_id, starts_at, ends_at):
        return Refusal.PATIENT_BUSY
    chair = _first_free(calendar, f"{place.name}/chair/", place.room.chairs, starts_at, ends_at)
    if chair is None:
        return Refusal.CHAIR_TAKEN
    provider_from, provider_until = visitor.visit.provider_share(starts_at)
    provider = _provider(calendar, place, provider_from or starts_at, provider_until or ends_at)
    if provider is None:
        return Refusal.PROVIDER_TAKEN
    return Taken(
        session_id,
        visitor.course_id,
        place.name,
        chair,
        provider,
        visitor.patient_id,
        starts_at,
        ends_at,
        provider_from,
        provider_until,
    )


def _provider(calendar: Calendar, place: Place, begins: datetime, ends: datetime) -> str | None:
    there: Iterable[str] = place.room.providers
    if place.room.shifts:
        wall = place.location.local(begins), place.location.local(ends)
        there = (name for name in there if place.room.on_duty(name, *wall))
    return _first_free(calendar, f"{place.name}/provider/", there, begins, ends)


def _first_free(
    calendar: Calendar, prefix: str, names: Iterable[str], starts_at: datetime, ends_at: datetime
) -> str | None:
    return next((name for name in names if calendar.is_free(prefix + name, starts_at, ends_at)), None)


def seat_course(
    calendar: Calendar, place: Place, request: CourseRequested, now: datetime
) -> Seats | tuple[Conflict, ...]:
    """Places for every session of a request in order of time, or every conflict; never a part of them."""
    assert request.sessions is not None
    visitor = Visitor.of(request, place)
    conflicts = [Conflict(code=code) for code in missing(visitor.protocol, place.location, request)]
    conflicts += rhythm(visitor.protocol, place.location, [(s.session_id, s.starts_at) for s in request.sessions])
    return seat_all(calendar, place, visitor, request.sessions, now, conflicts)


def seat_all(
    calendar: Calendar,
    place: Place,
    visitor: Visitor,
    wishes: Iterable[RequestedSession],
    now: datetime,
    conflicts: Iterable[Conflict] = (),
) -> Seats | tuple[Conflict, ...]:
    """Places for wishes in order of time, or every conflict.

    Args:
        conflicts: what is wrong with them already.
    """
    found = list(conflicts)
    seats: list[Taken] = []
    for wish in sorted(wishes, key=lambda wish: wish.starts_at):
        if calendar.knows(wish.session_id):
            found.append(Conflict(session_id=wish.session_id, code=Refusal.COURSE_EXISTS))
            continue
        if wish.starts_at <= now:
            found.append(Conflict(session_id=wish.session_id, code=Refusal.IN_PAST))
            continue
        seated = seat(calendar, place, visitor, wish.session_id, wish.starts_at)
        if isinstance(seated, Refusal):
            found.append(Conflict(session_id=wish.session_id, code=seated))
        else:
            seats.append(seated)
            calendar = calendar.take(seated)
    return tuple(found) if found else Seats(tuple(seats), calendar)


def missing(protocol: Protocol, location: Location, request: CourseRequested) -> list[Refusal]:
    """What the protocol needs and the request does not bring, one refusal each; a record must be older than the series.

    Source: for Spravato the REMS, which enrols a patient before the first dose; a companion at article 004's clinic.
    """
    first_day = request.plan.first_day if request.plan else None
    if request.sessions:
        first_day = location.local(min(s.starts_at for s in request.sessions)).date()
    have = {record.kind for record in request.records if first_day is None or record.recorded_on <= first_day}
    refusals = [Refusal.RECORD_MISSING for _ in set(protocol.records) - have]
    if protocol.companion_required and not request.companions:
        refusals.append(Refusal.COMPANION_MISSING)
    count = len(request.sessions) if request.sessions else request.plan.count if request.plan else None
    if protocol.largest_count is not None and (count or protocol.count) > protocol.largest_count:
        refusals.append(Refusal.WRONG_COUNT)
    return refusals
