"""Free places for a treatment, and other times for a session that cannot be where it was wished or is. Pure.

Starts that are proposed lie on the quarter hours after opening. The same question in the same calendar gets the same
answer.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import Place
from services.booking.chairs.rhythm import clashes, fits
from services.booking.chairs.seating import Visitor, seat
from shared.configuration.clinic import WEEKDAYS, Location
from shared.contract.clinic import CourseRequested

STEP: Final = timedelta(minutes=15)
"""The grid of starts that are proposed; a named start may be any minute."""

DAY: Final = timedelta(days=1)

ALTERNATIVES: Final = 3

AROUND: Final = 7
"""Other times are looked for so many days before and after a wish."""

LATER: Final = 14
"""A session that must leave its place is moved at most so many days."""

NOBODY: Final = UUID(int=0)
"""Stands for the session and the course of a place that is only looked at."""


class Free(NamedTuple):
    """A start that can be had, with the chair and the provider that are free then."""

    starts_at: datetime
    ends_at: datetime
    chair: str
    provider: str


def first_places(
    calendar: Calendar,
    place: Place,
    treatment: str,
    first_day: date,
    days: int,
    now: datetime,
    limit: int,
    minutes: int | None = None,
    patient_id: str = "",
) -> list[Free]:
    """The first starts that can be had for one session of a treatment, in order of time.

    Args:
        days: how many days are looked at, by the place's clock; the calendar must know them.
        minutes: the whole visit, where it is not the protocol's.
    """
    protocol = place.protocols[treatment]
    visitor = Visitor(NOBODY, patient_id, protocol, protocol.visit_of(minutes))
    found: list[Free] = []
    for n in range(days):
        for taken in free_on(calendar, place, visitor, first_day + n * DAY, now):
            found.append(Free(taken.starts_at, taken.ends_at, taken.chair, taken.provider))
            if len(found) == limit:
                return found
    return found


def free_on(calendar: Calendar, place: Place, visitor: Visitor, day: date, now: datetime) -> Iterator[Taken]:
    """The places that a visitor can have on a day, one a start, in order of time."""
    for starts_at in grid(place.location, day):
        if starts_at > now:
            found = seat(calendar, place, visitor, NOBODY, starts_at)
            if isinstance(found, Taken):
                yield found


def grid(location: Location, day: date) -> list[datetime]:
    """The quarter hours of a day's opening, as instants; what the clock leaves out in spring is left out."""
    if day in location.holidays:
        return []
    openings = [opening for opening in location.hours if WEEKDAYS[day.weekday()] in opening.days]
    wall = {
        at
        for opening in openings
        for at in _quarters(datetime.combine(day, opening.opens), datetime.combine(day, opening.closes))
    }
    instants = ((at, at.replace(tzinfo=location.tz).astimezone(UTC)) for at in sorted(wall))
    return [instant for at, instant in instants if location.local(instant).replace(tzinfo=None) == at]


def _quarters(opens: datetime, closes: datetime) -> Iterator[datetime]:
    while opens < closes:
        yield opens
        opens += STEP


def around(day: date) -> list[date]:
    """The days on which other times for a wish are looked for, the nearest first."""
    return [day, *(day + sign * n * DAY for n in range(1, AROUND + 1) for sign in (1, -1))]


def alternatives(
    calendar: Calendar, place: Place, request: CourseRequested, session_id: UUID, days: Set[date], now: datetime
) -> tuple[datetime, ...]:
    """Up to three starts near a wish that can be had while the other wishes stay, the nearest first.

    Args:
        days: what the calendar knows, by the place's clock.
    """
    wishes = {wish.session_id: wish.starts_at for wish in request.sessions or ()}
    wish, others = wishes[session_id], [(id, at) for id, at in wishes.items() if id != session_id]
    visitor = Visitor.of(request, place)
    near = (day for day in around(place.location.local(wish).date()) if day in days)
    fitting = (
        taken.starts_at
        for taken in _nearest(calendar, place, visitor, wish, near, now)
        if fits(visitor.protocol, place.location, others, (session_id, taken.starts_at))
    )
    return tuple(islice(fitting, ALTERNATIVES))


def _nearest(
    calendar: Calendar, place: Place, visitor: Visitor, wish: datetime, days: Iterable[date], now: datetime
) -> Iterator[Taken]:
    for day in days:
        free = free_on(calendar, place, visitor, day, now)
        yield from sorted(free, key=lambda taken: (abs(taken.starts_at - wish), taken.starts_at))


def later_place(
    calendar: Calendar,
    place: Place,
    visitor: Visitor,
    session: tuple[UUID, datetime],
    others: Sequence[tuple[UUID, datetime]],
    now: datetime,
) -> Taken | None:
    """The next place for a session that must leave its own, in the rhythm of the others as far as it was in it."""
    session_id, starts_at = session
    here = place.location.local(starts_at).date()
    for n in range(LATER + 1):
        for taken in free_on(calendar, place, visitor, here + n * DAY, max(now, starts_at)):
            moved = [*others, (session_id, taken.starts_at)]
            if not clashes(visitor.protocol, place.location, [*others, session], moved):
                return taken._replace(session_id=session_id)
    return None
