"""Free seats for a treatment, and other times for a session that cannot be where it was wished or is. Pure.

Starts that are proposed lie on the quarter hours after opening. The same question in the same calendar gets the same
answer.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.rhythm import clashes, fits
from services.booking.chairs.seating import Seat, Visitor, seat
from shared.configuration.clinic import WEEKDAYS, Location
from shared.contract.clinic import CourseRequested

STEP: Final = timedelta(minutes=15)
"""The grid of starts that are proposed; a named start may be any minute."""

DAY: Final = timedelta(days=1)

ALTERNATIVES: Final = 3

AROUND: Final = 7
"""Other times are looked for so many days before and after a wish."""

LATER: Final = 14
"""A session that must leave its seat is moved at most so many days."""

NOBODY: Final = UUID(int=0)
"""Stands for the course where seats are only looked at."""


def first_seats(
    calendar: Calendar,
    place: ChairPlan,
    treatment: str,
    first_day: date,
    days: int,
    now: datetime,
    limit: int,
    minutes: int | None = None,
    patient_id: str = "",
) -> list[Seat]:
    """The first starts that can be had for one session of a treatment, in order of time.

    Args:
        days: how many days are looked at, by the location's clock; the calendar must be loaded for them.
        minutes: the whole visit, where it is not the protocol's.
    """
    protocol = place.protocols[treatment]
    visitor = Visitor(NOBODY, patient_id, protocol, protocol.visit_of(minutes))
    free = (seat for n in range(days) for seat in free_on(calendar, place, visitor, first_day + n * DAY, now))
    return list(islice(free, limit))


def free_on(calendar: Calendar, place: ChairPlan, visitor: Visitor, day: date, now: datetime) -> Iterator[Seat]:
    """The seats that a visitor can have on a day, one a start, in order of time."""
    for starts_at in grid(place.location, day):
        if starts_at > now:
            found = seat(calendar, place, visitor, starts_at)
            if isinstance(found, Seat):
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
    calendar: Calendar, place: ChairPlan, request: CourseRequested, session_id: UUID, days: Set[date], now: datetime
) -> tuple[datetime, ...]:
    """Up to three starts near a wish that can be had while the other wishes stay, the nearest first.

    Args:
        days: what the calendar is loaded for, by the location's clock.
    """
    wishes = {wish.session_id: wish.starts_at for wish in request.sessions or ()}
    wish, others = wishes[session_id], [(id, at) for id, at in wishes.items() if id != session_id]
    visitor = Visitor.from_request(request, place)
    near = (day for day in around(place.location.local(wish).date()) if day in days)
    fitting = (
        seat.starts_at
        for seat in _nearest(calendar, place, visitor, wish, near, now)
        if fits(visitor.protocol, place.location, others, (session_id, seat.starts_at))
    )
    return tuple(islice(fitting, ALTERNATIVES))


def _nearest(
    calendar: Calendar, place: ChairPlan, visitor: Visitor, wish: datetime, days: Iterable[date], now: datetime
) -> Iterator[Seat]:
    for day in days:
        free = free_on(calendar, place, visitor, day, now)
        yield from sorted(free, key=lambda seat: (abs(seat.starts_at - wish), seat.starts_at))


def later_seat(
    calendar: Calendar,
    place: ChairPlan,
    visitor: Visitor,
    session: tuple[UUID, datetime],
    others: Sequence[tuple[UUID, datetime]],
    now: datetime,
) -> Seat | None:
    """The next seat for a session that must leave its own, in the rhythm of the others as far as it was in it."""
    session_id, starts_at = session
    here = place.location.local(starts_at).date()
    for n in range(LATER + 1):
        for found in free_on(calendar, place, visitor, here + n * DAY, max(now, starts_at)):
            moved = [*others, (session_id, found.starts_at)]
            if not clashes(visitor.protocol, place.location, [*others, session], moved):
                return found
    return None
