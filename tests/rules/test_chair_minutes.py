"""How long somebody could sit on a chair: opening hours, holidays, closures, and the nights on which clocks change."""

from dataclasses import replace
from datetime import date, timedelta

from services.booking.gauges import Shut, open_minutes
from shared.configuration.clinic import Opening
from tests.booking_story import DAY, HOUR, NOW, STELLA, room

MONDAY = date(2026, 3, 2)
PLACE = room(2)["stella"]
WHOLE_DAY = 2 * 11 * 60
"""Two chairs, from 8 to 19."""


def minutes(*shut: Shut, days: int = 1, first: date = MONDAY) -> float:
    return open_minutes(PLACE, first, days, shut)


def test_each_chair_counts_while_the_place_is_open() -> None:
    assert minutes() == WHOLE_DAY
    assert minutes(days=7) == 5 * WHOLE_DAY, "closed at the weekend"
    assert open_minutes(STELLA, MONDAY, 1, []) == 4 * 11 * 60


def test_a_holiday_has_no_minutes() -> None:
    closed = replace(PLACE, location=PLACE.location.model_copy(update={"holidays": (MONDAY,)}))
    assert open_minutes(closed, MONDAY, 7, []) == 4 * WHOLE_DAY


def test_a_closed_chair_takes_its_own_minutes_and_a_closed_place_those_of_all() -> None:
    assert minutes(Shut("chair-1", NOW, NOW + HOUR)) == WHOLE_DAY - 60
    assert minutes(Shut(None, NOW, NOW + HOUR)) == WHOLE_DAY - 120
    assert minutes(Shut("chair-9", NOW, NOW + HOUR)) == WHOLE_DAY, "a chair that there is no more"


def test_closures_that_overlap_count_once_and_only_within_opening_hours() -> None:
    whole, one = Shut(None, NOW, NOW + 2 * HOUR), Shut("chair-2", NOW + HOUR, NOW + 3 * HOUR)
    assert minutes(whole, one) == WHOLE_DAY - 120 - 180
    assert minutes(Shut(None, NOW - DAY, NOW + 10 * DAY)) == 0
    assert minutes(Shut(None, NOW - 3 * HOUR, NOW - HOUR)) == WHOLE_DAY, "6 to 8 in the morning"


def test_hours_that_overlap_count_once_and_a_long_night_counts_what_passes() -> None:
    everyday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    hours = [
        {"days": everyday, "opens": "00:00", "closes": "12:00"},
        {"days": everyday, "opens": "11:00", "closes": "13:00"},
    ]
    location = PLACE.location.model_copy(update={"hours": tuple(Opening.model_validate(h) for h in hours)})
    always = replace(PLACE, location=location)
    assert open_minutes(always, MONDAY, 1, []) == 2 * 13 * 60
    spring = MONDAY + timedelta(days=6)
    assert open_minutes(always, spring, 1, []) == 2 * 12 * 60, "an hour is missing"
