"""Rhythm: gaps count from start to start by the clock on the wall, and the window from the first to the last."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.booking.chairs.location import ChairPlan
from services.booking.chairs.seating import Seated, seat_course
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import course_requested, requested_at
from tests.facts.course import DAY, HOUR, MINUTE, NOW, TEN
from tests.stand_ins.booking_places import ALWAYS, STELLA, always_open
from tests.stand_ins.seats import calendar_of, refusals, wishes


def codes(place: ChairPlan, *walls: str) -> list[Refusal]:
    found = seat_course(calendar_of(), place, course_requested(sessions=wishes(place, *walls)), NOW)
    return [] if isinstance(found, Seated) else [conflict.code for conflict in found]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ("2026-03-07 10:00", "2026-03-08 10:00", []),  # 23 hours, but the same hour of the next day
        ("2026-03-07 10:00", "2026-03-08 09:45", [Refusal.TOO_CLOSE]),
        ("2026-10-31 10:00", "2026-11-01 10:00", []),
        ("2026-10-31 10:00", "2026-11-01 09:45", [Refusal.TOO_CLOSE]),  # 24 hours and 45 minutes, but not a day
    ],
)
def test_a_day_between_sessions_is_a_day_on_the_wall_in_both_nights(
    first: str, second: str, wrong: list[Refusal]
) -> None:
    assert codes(always_open(), first, second) == wrong


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (24 * HOUR - MINUTE, Refusal.TOO_CLOSE),
        (24 * HOUR, None),
        (240 * HOUR, None),
        (240 * HOUR + MINUTE, Refusal.TOO_FAR),
    ],
)
def test_gaps_count_from_start_to_start(later: timedelta, code: Refusal | None) -> None:
    wide = replace(STELLA, location=STELLA.location.model_copy(update={"hours": ALWAYS}))
    assert refusals(requested_at(TEN, TEN + later), place=wide) == ([(1, code)] if code else [])


def test_wishes_are_judged_in_order_of_time_whatever_their_order() -> None:
    assert refusals(requested_at(TEN + 2 * DAY, TEN, TEN + 3 * HOUR)) == [(2, Refusal.TOO_CLOSE)]


def test_the_window_reaches_from_the_first_to_the_last_session() -> None:
    weekly = [TEN + n * 7 * DAY for n in range(4)]
    assert refusals(requested_at(*weekly)) == []
    assert refusals(requested_at(*weekly, weekly[-1] + DAY)) == [(4, Refusal.OUTSIDE_WINDOW)]
