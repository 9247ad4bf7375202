"""When a person may be texted, by the law of where they are. Pure.

Each rule stands with its source and the date since which it holds. The laws are about solicitations; here they are kept
for every text that nobody has just asked for. They are defaults for a clinic's counsel to confirm; a clinic may be
stricter, never laxer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

Hours = tuple[tuple[time, time], ...]
"""For each weekday, Monday first: texting begins at the one wall time and ends before the other."""


def every_day(opens: time, closes: time) -> Hours:
    """The same hours on all seven days."""
    return ((opens, closes),) * 7


FEDERAL: Final = every_day(time(8), time(21))
"""Where no state is stricter: by the clock where the person is.

Source: 47 CFR 64.1200(c)(1), since 1992-12-20.
"""

CAUTIOUS: Final = every_day(time(9), time(20))
"""Where it is not known in which state a person is: no law's, but ours."""

_EIGHT_TO_EIGHT: Final = every_day(time(8), time(20))

STATES: Final[Mapping[str, Hours]] = {
    # Conn. Gen. Stat. 42-288a, texts included, since 2023-10-01
    "US-CT": every_day(time(9), time(20)),
    # Fla. Stat. 501.616(6)(a), since 2021-07-01
    "US-FL": _EIGHT_TO_EIGHT,
    # Maryland, Stop the Spam Calls Act (House Bill 37 and Senate Bill 90 of 2023), since 2024-01-01
    "US-MD": _EIGHT_TO_EIGHT,
    # Miss. Code 77-3-723; that it allows no solicitation on Sundays is not kept here
    "US-MS": _EIGHT_TO_EIGHT,
    # N.J. Stat. 56:8-128(d) ends at 21:00; an hour earlier to be cautious
    "US-NJ": _EIGHT_TO_EIGHT,
    # Okla. Stat. tit. 15, 775C.4 (Telephone Solicitation Act of 2022), since 2022-11-01
    "US-OK": _EIGHT_TO_EIGHT,
    # Oregon, House Bill 3865 of 2025, texts included, since 2026-01-01
    "US-OR": _EIGHT_TO_EIGHT,
    # R.I. Gen. Laws 5-61-3.6 and 5-61-2(9), since 1999
    "US-RI": (*every_day(time(9), time(18))[:5], *every_day(time(10), time(17))[:2]),
    # Tex. Bus. & Com. Code 301.051; of texts since 2025-09-01 (Senate Bill 140 of 2025)
    "US-TX": (*every_day(time(9), time(21))[:6], (time(12), time(21))),
}
"""States with stricter hours than the federal ones, each with its law."""

MARGIN: Final = timedelta(minutes=15)
"""A text that goes out early is meant for this long before the hours end, so that a delay does not lose it."""


@lru_cache(1024)
def narrower(one: Hours, other: Hours) -> Hours:
    """What both allow; a day on which that is nothing opens when it closes, or later."""
    return tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(one, other, strict=True))


@lru_cache(1024)
def hours_in(region: str | None, location_region: str) -> Hours:
    """The hours of a person's region, such as "US-IL"; unknown: the location's or cautious ones, the narrower."""
    if region is None:
        return narrower(STATES.get(location_region, FEDERAL), CAUTIOUS)
    return STATES.get(region, FEDERAL)


@dataclass(frozen=True, slots=True)
class Window:
    """When one person may be texted: hours in a zone."""

    zone: ZoneInfo
    hours: Hours

    def allows(self, instant: datetime) -> bool:
        """Whether the clock on the person's wall shows a time at which a text may come."""
        local = instant.astimezone(self.zone)
        opens, closes = self.hours[local.weekday()]
        return opens <= local.time() < closes

    def opens_after(self, instant: datetime) -> datetime:
        """The first allowed instant after one that is not allowed."""
        return next(opens for opens, _ in self._stretches(instant, 1) if opens > instant and self.allows(opens))

    def last_before(self, instant: datetime) -> datetime:
        """A late allowed instant before one that is not allowed, `MARGIN` before the hours end."""
        ends = (max(closes - MARGIN, opens) for opens, closes in self._stretches(instant, -1) if closes <= instant)
        return next(end for end in ends if self.allows(end))

    def closes_after(self, instant: datetime) -> datetime:
        """When the hours end in which an allowed instant lies."""
        return next(closes for _, closes in self._stretches(instant, 1) if closes > instant)

    def _stretches(self, around: datetime, step: int) -> Iterator[tuple[datetime, datetime]]:
        """The allowed stretches day by day, from this day in the direction of `step`; UTC."""
        today = around.astimezone(self.zone).date()
        for days in range(10):
            day = today + timedelta(days=days * step)
            opens, closes = self.hours[day.weekday()]
            if opens < closes:
                yield _instant(day, opens, self.zone), _instant(day, closes, self.zone)


@lru_cache(4096)  # a clinic's patients live by the same hours
def _instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wall, zone).astimezone(UTC)


def fit(window: Window, nominal_at: datetime, deadline_at: datetime, now: datetime) -> datetime | None:
    """When to send what is wished for `nominal_at`: then, or later, or, where later would be useless, earlier.

    Args:
        deadline_at: from here on the text is useless.
        now: nothing can be sent before this.

    Returns:
        An allowed instant that is not before `now`, or None where there is none.
    """
    wish = max(nominal_at, now)
    if window.allows(wish):
        return wish
    later = window.opens_after(wish)
    if later < deadline_at:
        return later
    earlier = max(window.last_before(wish), now)
    return earlier if window.allows(earlier) else None
