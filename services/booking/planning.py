"""Which chair and which provider, and whether a time can be had at all. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

from services.booking.profile import Place, Protocol
from shared.contract import Conflict, CourseRequested, Refusal


@dataclass(frozen=True, slots=True)
class Taken:
    """A stretch of time in which a chair, a provider and a patient are not free; half-open, so neighbours may touch."""

    session_id: UUID
    location: str
    chair: str
    provider: str
    patient_id: str
    starts_at: datetime
    ends_at: datetime

    @property
    def resources(self) -> tuple[str, str, str]:
        """What it occupies. A patient is one person at every location."""
        return f"{self.location}/chair/{self.chair}", f"{self.location}/provider/{self.provider}", self.patient_id


Stretches = Mapping[object, tuple[Taken, ...]]
"""What is taken, by resource and UTC day; and by session id, so that each can be found."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is taken at the locations of a batch. Every change gives a new calendar that shares `_base` with the old."""

    _base: Stretches = field(default_factory=dict)
    _changed: Stretches = field(default_factory=dict)

    @classmethod
    def of(cls, taken: Iterable[Taken], named: Iterable[UUID] = ()) -> "Calendar":
        """A calendar with these stretches.

        Args:
            named: session ids that belong to a course already, whatever became of it.
        """
        base: dict[object, tuple[Taken, ...]] = {session_id: () for session_id in named}
        for stretch in taken:
            for key in _keys(stretch):
                base[key] = (*base.get(key, ()), stretch)
        return cls(base)

    def is_free(self, resource: str, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether nothing touches the inside of the stretch."""
        return not any(
            taken.starts_at < ends_at and starts_at < taken.ends_at
            for day in _days(starts_at, ends_at)
            for taken in self._at((resource, day))
        )

    def knows(self, session_id: UUID) -> bool:
        """Whether a session of this id belongs to a course already."""
        return session_id in self._changed or session_id in self._base

    def take(self, stretch: Taken) -> "Calendar":
        """This calendar with one stretch more."""
        return self._with({key: (*self._at(key), stretch) for key in _keys(stretch)})

    def free(self, session_id: UUID) -> "Calendar":
        """This calendar without a session."""
        gone = {key for stretch in self._at(session_id) for key in _keys(stretch)}
        return self._with({key: tuple(t for t in self._at(key) if t.session_id != session_id) for key in gone})

    def _at(self, key: object) -> tuple[Taken, ...]:
        found = self._changed.get(key)
        return self._base.get(key, ()) if found is None else found

    def _with(self, changes: Stretches) -> "Calendar":
        changed = {**self._changed, **changes}
        return Calendar(self._base, changed) if len(changed) < FEW else Calendar({**self._base, **changed})


FEW: Final = 200
"""Changes that are kept beside the base: copying them with every change is cheaper than copying the base."""


def _keys(stretch: Taken) -> Iterable[object]:
    days = _days(stretch.starts_at, stretch.ends_at)
    return (stretch.session_id, *((resource, day) for resource in stretch.resources for day in days))


def _days(starts_at: datetime, ends_at: datetime) -> range:
    return range(starts_at.toordinal(), ends_at.toordinal() + 1)  # instants are UTC everywhere


@dataclass(frozen=True, slots=True)
class Seats:
    """Places for a whole course, and the calendar with them in it."""

    taken: tuple[Taken, ...]
    calendar: Calendar


def seat(
    calendar: Calendar, place: Place, patient_id: str, session_id: UUID, starts_at: datetime, ends_at: datetime
) -> Taken | Refusal:
    """A chair and a provider for one session, the first free of each in the profile's order, or why there is none."""
    if not place.location.is_open(starts_at, ends_at):
        return Refusal.CLOSED
    if not calendar.is_free(patient_id, starts_at, ends_at):
        return Refusal.PATIENT_BUSY
    chair = _first_free(calendar, f"{place.name}/chair/", place.room.chairs, starts_at, ends_at)
    if chair is None:
        return Refusal.CHAIR_TAKEN
    provider = _first_free(calendar, f"{place.name}/provider/", place.room.providers, starts_at, ends_at)
    if provider is None:
        return Refusal.PROVIDER_TAKEN
    return Taken(session_id, place.name, chair, provider, patient_id, starts_at, ends_at)


def seat_course(
    calendar: Calendar, place: Place, request: CourseRequested, now: datetime
) -> Seats | tuple[Conflict, ...]:
    """Places for every session of a request in order of time, or every conflict; never a part of them."""
    assert request.sessions is not None
    protocol = place.protocols[request.treatment]
    conflicts = [Conflict(code=Refusal.RECORD_MISSING) for _ in missing_records(protocol, request)]
    wished = sorted(request.sessions, key=lambda session: session.starts_at)
    conflicts += rhythm(protocol, [(session.session_id, session.starts_at) for session in wished])
    seats: list[Taken] = []
    for session in wished:
        ends_at = session.starts_at + visit_of(protocol, request)
        if calendar.knows(session.session_id):
            conflicts.append(Conflict(session_id=session.session_id, code=Refusal.COURSE_EXISTS))
            continue
        if session.starts_at <= now:
            conflicts.append(Conflict(session_id=session.session_id, code=Refusal.IN_PAST))
            continue
        seated = seat(calendar, place, request.patient_id, session.session_id, session.starts_at, ends_at)
        if isinstance(seated, Refusal):
            conflicts.append(Conflict(session_id=session.session_id, code=seated))
        else:
            seats.append(seated)
            calendar = calendar.take(seated)
    return tuple(conflicts) if conflicts else Seats(tuple(seats), calendar)


def visit_of(protocol: Protocol, request: CourseRequested) -> timedelta:
    """From arrival until the chair is free again; the request's own minutes go before the protocol's."""
    return timedelta(minutes=request.minutes) if request.minutes is not None else protocol.visit


def missing_records(protocol: Protocol, request: CourseRequested) -> list[str]:
    """The kinds of records that the protocol needs and the request does not bring."""
    return sorted(set(protocol.records) - {record.kind for record in request.records})


def rhythm(protocol: Protocol, starts: Sequence[tuple[UUID, datetime]]) -> list[Conflict]:
    """What is wrong with the gaps and the length of a series, given in order of time; the later session is named."""
    conflicts: list[Conflict] = []
    for (_, earlier), (session_id, later) in pairwise(starts):
        if later - earlier < timedelta(hours=protocol.smallest_gap_hours):
            conflicts.append(Conflict(session_id=session_id, code=Refusal.TOO_CLOSE))
        elif later - earlier > timedelta(hours=protocol.largest_gap_hours):
            conflicts.append(Conflict(session_id=session_id, code=Refusal.TOO_FAR))
    if starts and starts[-1][1] - starts[0][1] > timedelta(days=protocol.window_days):
        conflicts.append(Conflict(session_id=starts[-1][0], code=Refusal.OUTSIDE_WINDOW))
    return conflicts


def _first_free(
    calendar: Calendar, prefix: str, names: Iterable[str], starts_at: datetime, ends_at: datetime
) -> str | None:
    return next((name for name in names if calendar.is_free(prefix + name, starts_at, ends_at)), None)
