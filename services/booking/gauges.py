"""Gauges of the chairs: sessions that start soon and are not paid, and how much of the open time is taken."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from prometheus_client import Metric

from services.booking.chairs.free_starts import DAY
from services.booking.chairs.location import ChairPlan, ChairPlans
from services.booking.store.chair_use import Window, chair_closures, held_sessions, taken_minutes
from shared.configuration.clinic import WEEKDAYS
from shared.contract.closed_sets import Needs, SessionState
from shared.instruments.metrics import Reading
from shared.postgres.values import Connection
from shared.service.readings import Look

SERVICE: Final = "booking"

UNPAID: Final = Reading(
    "chairtime_unpaid_sessions",
    "Sessions that start within so many hours and are still held, by what they wait for",
    ("location", "within", "needs"),
)
OPEN_MINUTES: Final = Reading(
    "chairtime_chair_minutes_open",
    "Chair minutes within opening hours and outside of closures, today or on seven days from today",
    ("location", "days"),
)
TAKEN_MINUTES: Final = Reading(
    "chairtime_chair_minutes_taken",
    "Chair minutes of sessions that are not cancelled or released, by their state, today or on seven days from today",
    ("location", "days", "state"),
)

WITHIN: Final = {"24h": timedelta(hours=24), "48h": timedelta(hours=48)}
DAYS: Final = {"today": 1, "7d": 7}
TAKES: Final = tuple(s for s in SessionState if s not in (SessionState.CANCELLED, SessionState.RELEASED))

Labels = tuple[str, ...]


class Shut(NamedTuple):
    """A closure, as far as it concerns chairs: one of them, or all."""

    chair: str | None
    starts_at: datetime
    ends_at: datetime


def look(places: ChairPlans) -> Look:
    """Reads the gauges of the served locations."""

    async def read(connection: Connection, now: datetime) -> Iterable[Metric]:
        unpaid = await _unpaid(connection, list(places), now)
        opened, taken = await _chairs(connection, places, now)
        return (
            UNPAID.labelled(SERVICE, unpaid),
            OPEN_MINUTES.labelled(SERVICE, opened),
            TAKEN_MINUTES.labelled(SERVICE, taken),
        )

    return read


async def _unpaid(connection: Connection, locations: Sequence[str], now: datetime) -> Mapping[Labels, float]:
    count: dict[Labels, float] = {
        (place, within, need): 0 for place in locations for within in WITHIN for need in Needs
    }
    for row in await held_sessions(connection, locations, now, now + max(WITHIN.values())):
        need = Needs.AUTHORIZATION if row.insurer else Needs.MONEY
        for within, long in WITHIN.items():
            count[row.location, within, need] += row.starts_at < now + long
    return count


async def _chairs(
    connection: Connection, places: ChairPlans, now: datetime
) -> tuple[Mapping[Labels, float], Mapping[Labels, float]]:
    today = {name: place.location.local(now).date() for name, place in places.items()}
    windows = [
        Window(name, days, *(datetime.combine(today[name] + n * DAY, time(), place.location.tz) for n in (0, long)))
        for name, place in places.items()
        for days, long in DAYS.items()
    ]
    taken: dict[Labels, float] = {(w.location, w.days, state): 0 for w in windows for state in TAKES}
    for row in await taken_minutes(connection, windows, TAKES):
        taken[row.location, row.days, row.state] = float(row.minutes)
    shut: dict[str, list[Shut]] = {name: [] for name in places}
    first, last = min(window.first for window in windows), max(window.last for window in windows)
    for row in await chair_closures(connection, list(places), first, last):
        shut[row.location].append(Shut(row.chair, row.starts_at, row.ends_at))
    opened: dict[Labels, float] = {
        (w.location, w.days): open_minutes(places[w.location], today[w.location], DAYS[w.days], shut[w.location])
        for w in windows
    }
    return opened, taken


def open_minutes(place: ChairPlan, first_day: date, days: int, shut: Iterable[Shut]) -> float:
    """Minutes in which somebody could sit on a chair, all chairs together, from a day on. Pure."""
    closures = list(shut)
    hours = [stretch for n in range(days) for stretch in _hours(place, first_day + n * DAY)]
    return sum(
        _length(hours) - _length(list(_common(hours, [c for c in closures if c.chair in (None, chair)])))
        for chair in place.room.chairs
    )


Stretch = tuple[datetime, datetime]


def _hours(place: ChairPlan, day: date) -> Iterable[Stretch]:
    if day in place.location.holidays:
        return
    for opening in place.location.hours:
        if WEEKDAYS[day.weekday()] in opening.days:
            opens, closes = (datetime.combine(day, at, place.location.tz) for at in (opening.opens, opening.closes))
            yield opens.astimezone(UTC), closes.astimezone(UTC)


def _common(hours: Iterable[Stretch], closures: Sequence[Shut]) -> Iterable[Stretch]:
    for begins, ends in hours:
        for closure in closures:
            first, last = max(begins, closure.starts_at), min(ends, closure.ends_at)
            if first < last:
                yield first, last


def _length(stretches: Iterable[Stretch]) -> float:
    """Minutes that lie in any of these."""
    minutes, until = 0.0, datetime.min.replace(tzinfo=UTC)
    for begins, ends in sorted(stretches):
        if ends > until:
            minutes += (ends - max(begins, until)).total_seconds() / 60
            until = ends
    return minutes
