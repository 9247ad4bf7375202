"""A whole series from a patient's wishes: which days, and at what hour. Pure.

Of a day's free starts the one is taken at which the fewest chairs are in use, so that the load is level over the day
and the morning does not fill first. The same wishes in the same calendar give the same plan.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import uuid5

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.free_starts import DAY, around, free_on, grid
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.rhythm import rhythm
from services.booking.chairs.seating import Seat, Visitor
from shared.configuration.clinic import WEEKDAYS
from shared.contract.clinic import CoursePlan, CourseRequested, RequestedSession

FIRST_WITHIN: Final = 7
"""A plan's first session lies at most so many days from its `first_day`, that day counted."""

NEAREST_WITHIN: Final = 28
"""So many days more are searched for another start of a plan that cannot be had."""

STEPS: Final = 200
"""A series that is not found in so many steps, or thrice its sessions, is given up: an answer must not take seconds."""


def days_of_request(place: ChairPlan, request: CourseRequested, now: datetime) -> set[date]:
    """The days, by the location's clock, for which the calendar must be loaded to answer a request.

    They are the wished days; where one is wrong by itself, those around it, too, since other times will be proposed.
    """
    if request.plan is not None:
        return _days_of_plan(place, request, request.plan, now)
    wishes = request.sessions or ()
    starts = [(wish.session_id, wish.starts_at) for wish in wishes]
    wrong = {conflict.session_id for conflict in rhythm(place.protocols[request.treatment], place.location, starts)}
    days: set[date] = set()
    for wish in wishes:
        day = place.location.local(wish.starts_at).date()
        is_wrong = wish.session_id in wrong or wish.starts_at <= now or not place.location.opens_on(day)
        days.update(around(day) if is_wrong else (day,))
    return days


def _days_of_plan(place: ChairPlan, request: CourseRequested, plan: CoursePlan, now: datetime) -> set[date]:
    protocol = place.protocols[request.treatment]
    gaps = (protocol.gaps_before(number).largest for number in range(2, (plan.count or protocol.count) + 1))
    reach = min(sum(gaps, timedelta()) // DAY + 1, protocol.window_days)
    first = max(plan.first_day, place.location.local(now).date())
    return {first + n * DAY for n in range(FIRST_WITHIN + NEAREST_WITHIN + reach + 1)}


class _Slot(NamedTuple):
    """A start that the patient and the clinic can have; `load` is how many chairs are in use then."""

    load: tuple[int, int]
    wall: datetime
    seat: Seat


def plan_course(
    calendar: Calendar, place: ChairPlan, request: CourseRequested, plan: CoursePlan, now: datetime
) -> tuple[RequestedSession, ...] | datetime | None:
    """Times for a whole series; or, where there are none, the nearest other start at which it could begin; or nothing.

    The first session lies within a week from the plan's first day. The others follow in the protocol's rhythm, each on
    the day nearest to its usual gap; where a later one finds no place, earlier ones give way.
    """
    visitor = Visitor.from_request(request, place)
    days = _Days(calendar, place, visitor, plan, now)
    first_day = max(plan.first_day, place.location.local(now).date())
    for n in range(FIRST_WITHIN + NEAREST_WITHIN):
        firsts = _candidates(days.slots(first_day + n * DAY))
        for first in firsts if n < FIRST_WITHIN else firsts[:1]:
            series = _Series(days, visitor, plan.count or visitor.protocol.count).from_(first)
            if series is None:
                continue
            if n >= FIRST_WITHIN or plan.first_day < first_day:
                return first.seat.starts_at
            return tuple(
                RequestedSession(session_id=uuid5(request.course_id, str(number)), starts_at=slot.seat.starts_at)
                for number, slot in enumerate(series, start=1)
            )
    return None


class _Days:
    """What a patient could have on each day, found out when it is asked for."""

    def __init__(self, calendar: Calendar, place: ChairPlan, visitor: Visitor, plan: CoursePlan, now: datetime) -> None:
        self._calendar = calendar
        self._place = place
        self._visitor = visitor
        self._plan = plan
        self._now = now
        self._chairs = {(place.name, "chair", chair) for chair in place.room.chairs}
        self._known: dict[date, list[_Slot]] = {}

    def slots(self, day: date) -> list[_Slot]:
        """The starts of a day, those with the least load first."""
        found = self._known.get(day)
        if found is None:
            found = self._known[day] = sorted(self._look(day))
        return found

    def _look(self, day: date) -> Iterator[_Slot]:
        plan, local = self._plan, self._place.location.local
        if plan.weekdays is not None and WEEKDAYS[day.weekday()] not in plan.weekdays:
            return
        opening = grid(self._place.location, day)
        if not opening:
            return
        busy = self._calendar.at(self._chairs, opening[0], opening[-1] + DAY)
        for seat in free_on(self._calendar, self._place, self._visitor, day, self._now):
            wall = local(seat.starts_at).replace(tzinfo=None)
            if (plan.earliest or "00:00") <= f"{wall:%H:%M}" <= (plan.latest or "24:00"):
                yield _Slot(_load(busy, seat), wall, seat)


def _load(busy: Sequence[Taken], seat: Seat) -> tuple[int, int]:
    """The most chairs that are in use at one instant of a seat, and how many visits it touches."""
    touching = [one for one in busy if one.starts_at < seat.ends_at and seat.starts_at < one.ends_at]
    peaks = (max(one.starts_at, seat.starts_at) for one in touching)
    return max((sum(two.starts_at <= at < two.ends_at for two in touching) for at in peaks), default=0), len(touching)


def _candidates(slots: Sequence[_Slot]) -> list[_Slot]:
    """Of a day's slots the one with the least load; then the earliest and the latest, which leave the most room for the
    sessions before and after.
    """
    if not slots:
        return []
    by_time = sorted(slots, key=lambda slot: slot.wall)
    return list({slot.wall: slot for slot in (slots[0], by_time[0], by_time[-1])}.values())


class _Series:
    """A search for the sessions after the first. What has led nowhere is not tried again."""

    def __init__(self, days: _Days, visitor: Visitor, count: int) -> None:
        self._days = days
        self._protocol = visitor.protocol
        self._count = count
        self._steps = max(STEPS, 3 * count)
        self._in_vain: set[tuple[int, datetime]] = set()

    def from_(self, first: _Slot) -> list[_Slot] | None:
        """A whole series that begins there."""
        return self._extend([first], first.wall + timedelta(days=self._protocol.window_days))

    def _extend(self, series: list[_Slot], until: datetime) -> list[_Slot] | None:
        number = len(series) + 1
        if number > self._count:
            return series
        for slot in self._next(number, series[-1].wall, until):
            if self._steps > 0 and (number, slot.wall) not in self._in_vain:
                self._steps -= 1
                whole = self._extend([*series, slot], until)
                if whole is not None:
                    return whole
                self._in_vain.add((number, slot.wall))
        return None

    def _next(self, number: int, last: datetime, until: datetime) -> Iterator[_Slot]:
        gaps = self._protocol.gaps_before(number)
        wished = last + gaps.usual
        first, final = last + gaps.smallest, min(last + gaps.largest, until)
        days = (first.date() + n * DAY for n in range((final.date() - first.date()).days + 1))
        for day in sorted(days, key=lambda day: (abs((day - wished.date()) / DAY - (wished.hour - 12) / 24), day)):
            if day > last.date():
                yield from _candidates([slot for slot in self._days.slots(day) if first <= slot.wall <= final])
