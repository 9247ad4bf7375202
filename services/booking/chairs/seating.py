"""Seats: a chair and a provider for a session, or for every session of a request. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Resource, Taken
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.protocol import Protocol, Visit
from services.booking.chairs.rhythm import rhythm
from shared.configuration.clinic import WEEKDAYS, Location
from shared.contract.booking import Conflict
from shared.contract.clinic import CourseRequested, RequestedSession
from shared.contract.closed_sets import Refusal


class Seat(NamedTuple):
    """A stretch of time with a chair and a provider that are free then.

    `provider_from` and `provider_until`: where the provider stays for a part of the visit only.
    """

    starts_at: datetime
    ends_at: datetime
    chair: str
    provider: str
    provider_from: datetime | None = None
    provider_until: datetime | None = None


class Visitor(NamedTuple):
    """Whom a seat is for, and what for. `visit` is the protocol's, or what the request's own minutes make of it."""

    course_id: UUID
    patient_id: str
    protocol: Protocol
    visit: Visit

    @classmethod
    def from_request(cls, request: CourseRequested, place: ChairPlan) -> "Visitor":
        """Who asks for a course, at a location that has a protocol for its treatment."""
        protocol = place.protocols[request.treatment]
        return cls(request.course_id, request.patient_id, protocol, protocol.visit_of(request.minutes))

    def takes(self, seat: Seat, place: ChairPlan, session_id: UUID) -> Taken:
        """A seat, taken for a session of this visitor."""
        return Taken(
            session_id,
            self.course_id,
            place.name,
            seat.chair,
            seat.provider,
            self.patient_id,
            seat.starts_at,
            seat.ends_at,
            seat.provider_from,
            seat.provider_until,
        )


class Seated(NamedTuple):
    """What sessions of a course have taken, and the calendar with them in it."""

    taken: tuple[Taken, ...]
    calendar: Calendar


def seat(calendar: Calendar, place: ChairPlan, visitor: Visitor, starts_at: datetime) -> Seat | Refusal:
    """A chair and a provider for one session, the first free of each in the profile's order, or why there is none."""
    ends_at = starts_at + visitor.visit.whole
    if not place.location.is_open(starts_at, ends_at) or calendar.is_closed((place.name,), starts_at, ends_at):
        return Refusal.CLOSED
    weekdays = visitor.protocol.weekdays
    if weekdays is not None and WEEKDAYS[place.location.local(starts_at).weekday()] not in weekdays:
        return Refusal.CLOSED
    if not calendar.is_free((visitor.patient_id,), starts_at, ends_at):
        return Refusal.PATIENT_BUSY
    chair = _first_free(calendar, (place.name, "chair"), place.room.chairs, starts_at, ends_at)
    if chair is None:
        return Refusal.CHAIR_TAKEN
    provider_from, provider_until = visitor.visit.provider_share(starts_at)
    provider = _provider(calendar, place, provider_from or starts_at, provider_until or ends_at)
    if provider is None:
        return Refusal.PROVIDER_TAKEN
    return Seat(starts_at, ends_at, chair, provider, provider_from, provider_until)


def _provider(calendar: Calendar, place: ChairPlan, begins: datetime, ends: datetime) -> str | None:
    there: Iterable[str] = place.room.providers
    if place.room.shifts:
        wall = place.location.local(begins), place.location.local(ends)
        there = (name for name in there if place.room.on_duty(name, *wall))
    return _first_free(calendar, (place.name, "provider"), there, begins, ends)


def _first_free(
    calendar: Calendar, kind: Resource, names: Iterable[str], starts_at: datetime, ends_at: datetime
) -> str | None:
    return next((name for name in names if calendar.is_free((*kind, name), starts_at, ends_at)), None)


def seat_course(
    calendar: Calendar, place: ChairPlan, request: CourseRequested, now: datetime
) -> Seated | tuple[Conflict, ...]:
    """Seats for every session of a request in order of time, or every conflict; never a part of them."""
    assert request.sessions is not None
    visitor = Visitor.from_request(request, place)
    conflicts = [Conflict(code=code) for code in missing(visitor.protocol, place.location, request)]
    conflicts += rhythm(visitor.protocol, place.location, [(s.session_id, s.starts_at) for s in request.sessions])
    return seat_all(calendar, place, visitor, request.sessions, now, conflicts)


def seat_all(
    calendar: Calendar,
    place: ChairPlan,
    visitor: Visitor,
    wishes: Iterable[RequestedSession],
    now: datetime,
    conflicts: Iterable[Conflict] = (),
) -> Seated | tuple[Conflict, ...]:
    """Seats for wishes in order of time, or every conflict.

    Args:
        conflicts: what is wrong with them already.
    """
    found = list(conflicts)
    taken: list[Taken] = []
    for wish in sorted(wishes, key=lambda wish: wish.starts_at):
        if calendar.knows(wish.session_id):
            found.append(Conflict(session_id=wish.session_id, code=Refusal.COURSE_EXISTS))
            continue
        if wish.starts_at <= now:
            found.append(Conflict(session_id=wish.session_id, code=Refusal.IN_PAST))
            continue
        free = seat(calendar, place, visitor, wish.starts_at)
        if isinstance(free, Refusal):
            found.append(Conflict(session_id=wish.session_id, code=free))
        else:
            taken.append(visitor.takes(free, place, wish.session_id))
            calendar = calendar.take(taken[-1])
    return tuple(found) if found else Seated(tuple(taken), calendar)


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
