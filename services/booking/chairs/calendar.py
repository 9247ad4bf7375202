"""What is taken, and what is closed: the calendar that decisions of a batch share. Pure.

It is read for some days of some locations and for some patients, and knows nothing of any other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

Resource = tuple[str, ...]
"""What can be taken or closed: (location,), (location, "chair", name), (location, "provider", name) or (patient id,).
It begins with what the calendar is read for.
"""


class DayNotLoaded(Exception):
    """A rule asked for a stretch that the calendar was not read for: a defect of `rules.days_needed`."""


class Taken(NamedTuple):
    """A stretch of time in which a chair, a provider and a patient are not free; half-open, so neighbours may touch.

    `provider_from` and `provider_until`: where the provider stays for a part of the visit only.
    """

    session_id: UUID
    course_id: UUID
    location: str
    chair: str
    provider: str
    patient_id: str
    starts_at: datetime
    ends_at: datetime
    provider_from: datetime | None = None
    provider_until: datetime | None = None

    @property
    def resources(self) -> tuple[Resource, Resource, Resource]:
        """What it occupies. A patient is one person at every location."""
        return (self.location, "chair", self.chair), (self.location, "provider", self.provider), (self.patient_id,)


class Closed(NamedTuple):
    """A stretch in which a location, or one chair or provider of it, cannot be used."""

    resource: Resource
    starts_at: datetime
    ends_at: datetime


Stretch = tuple[datetime, datetime, Taken]
"""From when until when something is occupied, and by whom."""

Stretches = Mapping[object, tuple[Stretch, ...]]
"""What is taken, by resource and UTC day; and by session id, so that each can be found."""


Spans = Sequence[tuple[datetime, datetime]]
"""Stretches of time in their order, which do not touch."""


class _Loaded(NamedTuple):
    """Spans, as they are searched fast."""

    firsts: tuple[datetime, ...]
    lasts: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is taken at the locations of a batch. Every change gives a new calendar that shares `_base` with the old."""

    _base: Stretches = field(default_factory=dict)
    _changed: Stretches = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()
    _loaded: Mapping[str, _Loaded] = field(default_factory=dict)

    @classmethod
    def from_rows(
        cls,
        taken: Iterable[Taken],
        loaded: Mapping[str, Spans],
        named: Iterable[UUID] = (),
        closed: Iterable[Closed] = (),
    ) -> "Calendar":
        """A calendar with these stretches.

        Args:
            loaded: what they were read for: of each location and each patient the spans of which all is known.
            named: session ids that belong to a course already, whatever became of it.
        """
        base: dict[object, tuple[Stretch, ...]] = {session_id: () for session_id in named}
        for one in taken:
            for key, stretch in _stretches(one):
                base[key] = (*base.get(key, ()), stretch)
        known = {name: _Loaded(*zip(*spans, strict=True)) for name, spans in loaded.items()}
        return cls(base, {}, tuple(closed), known)

    def is_free(self, resource: Resource, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether nothing touches the inside of the stretch.

        Raises:
            DayNotLoaded: nothing that is known does, but not all is known.
        """
        if self.closed and self.is_closed(resource, starts_at, ends_at):
            return False
        for day in _days(starts_at, ends_at):
            for begins, ends, _ in self._at((resource, day)):
                if begins < ends_at and starts_at < ends:
                    return False
        loaded = self._loaded.get(resource[0])
        number = bisect_right(loaded.firsts, starts_at) if loaded is not None else 0
        if loaded is None or number == 0 or loaded.lasts[number - 1] < ends_at:
            raise DayNotLoaded(f"{starts_at:%Y-%m-%dT%H:%MZ}")
        return True

    def is_closed(self, resource: Resource, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether a closure touches the inside of the stretch."""
        return bool(self.closed) and any(
            c.resource == resource and c.starts_at < ends_at and starts_at < c.ends_at for c in self.closed
        )

    def displaces(self, taken: Taken) -> bool:
        """Whether a session sits where something is closed."""
        chair, provider, _ = taken.resources
        whole = taken.starts_at, taken.ends_at
        share = taken.provider_from or taken.starts_at, taken.provider_until or taken.ends_at
        return (
            self.is_closed((taken.location,), *whole)
            or self.is_closed(chair, *whole)
            or self.is_closed(provider, *share)
        )

    def at(self, resources: Set[Resource], starts_at: datetime, ends_at: datetime) -> list[Taken]:
        """Who occupies any of the resources within the stretch, in order of time."""
        found = {
            taken.session_id: taken
            for resource in resources
            for day in _days(starts_at, ends_at)
            for begins, ends, taken in self._at((resource, day))
            if begins < ends_at and starts_at < ends
        }
        return sorted(found.values(), key=lambda taken: (taken.starts_at, taken.session_id))

    def knows(self, session_id: UUID) -> bool:
        """Whether a session of this id belongs to a course already."""
        return session_id in self._changed or session_id in self._base

    def take(self, taken: Taken) -> "Calendar":
        """This calendar with one session more."""
        return self._with({key: (*self._at(key), stretch) for key, stretch in _stretches(taken)})

    def without(self, session_id: UUID) -> "Calendar":
        """This calendar without a session."""
        gone = {key for _, _, taken in self._at(session_id) for key, _ in _stretches(taken)}
        return self._with({key: tuple(s for s in self._at(key) if s[2].session_id != session_id) for key in gone})

    def close(self, closed: Closed) -> "Calendar":
        """This calendar with one closure more."""
        return replace(self, closed=(*self.closed, closed))

    def _at(self, key: object) -> tuple[Stretch, ...]:
        found = self._changed.get(key)
        return self._base.get(key, ()) if found is None else found

    def _with(self, changes: Stretches) -> "Calendar":
        changed = {**self._changed, **changes}
        if len(changed) < FEW:
            return Calendar(self._base, changed, self.closed, self._loaded)
        return Calendar({**self._base, **changed}, {}, self.closed, self._loaded)


FEW: Final = 500
"""Changes that are kept beside the base: copying them with every change is cheaper than copying the base."""


def _stretches(taken: Taken) -> Iterable[tuple[object, Stretch]]:
    chair, provider, patient = taken.resources
    whole = (taken.starts_at, taken.ends_at, taken)
    days = _days(taken.starts_at, taken.ends_at)
    yield taken.session_id, whole
    for day in days:
        yield (chair, day), whole
        yield (patient, day), whole
    if taken.provider_from is not None and taken.provider_until is not None:
        whole = (taken.provider_from, taken.provider_until, taken)
    for day in days:
        yield (provider, day), whole


def _days(starts_at: datetime, ends_at: datetime) -> range:
    return range(starts_at.toordinal(), ends_at.toordinal() + 1)  # instants are UTC everywhere
