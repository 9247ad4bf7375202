"""When a person may be texted, in every zone and through both nights on which the clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.text.quiet_hours import (
    CAUTIOUS,
    FEDERAL,
    MARGIN,
    STATES,
    Window,
    every_day,
    fit,
    hours_in,
    narrower,
)

CHICAGO = ZoneInfo("America/Chicago")
HOUR = timedelta(hours=1)


def wall(text: str, zone: ZoneInfo = CHICAGO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


FEDERAL_WINDOW = Window(CHICAGO, FEDERAL)


@pytest.mark.parametrize(
    ("region", "instant", "allowed"),
    [
        ("US-IL", "2026-03-02 08:00", True),
        ("US-IL", "2026-03-02 07:59:59", False),
        ("US-IL", "2026-03-02 20:59:59", True),
        ("US-IL", "2026-03-02 21:00", False),
        ("US-FL", "2026-03-02 20:00", False),
        ("US-CT", "2026-03-02 08:30", False),
        ("US-TX", "2026-03-07 09:00", True),
        ("US-TX", "2026-03-08 11:59", False),
        ("US-TX", "2026-03-08 12:00", True),
        ("US-RI", "2026-03-06 17:59", True),
        ("US-RI", "2026-03-07 17:00", False),
        ("US-RI", "2026-03-08 09:30", False),
    ],
)
def test_each_state_has_its_hours(region: str, instant: str, allowed: bool) -> None:
    assert Window(CHICAGO, hours_in(region, "US-IL")).allows(wall(instant)) is allowed


def test_an_unknown_region_gets_the_narrower_of_the_locations_hours_and_cautious_ones() -> None:
    assert hours_in(None, "US-IL") == CAUTIOUS
    assert hours_in(None, "US-RI") == narrower(STATES["US-RI"], CAUTIOUS)


def test_an_allowed_wish_stays() -> None:
    wish = wall("2026-03-02 10:00")
    assert fit(FEDERAL_WINDOW, wish, wish + HOUR, wish - HOUR) == wish


def test_a_wish_in_the_night_moves_to_the_morning_where_that_is_not_too_late() -> None:
    wish = wall("2026-03-02 23:00")
    assert fit(FEDERAL_WINDOW, wish, wish + 12 * HOUR, wish - HOUR) == wall("2026-03-03 08:00")


def test_a_wish_in_the_night_moves_to_the_evening_before_where_the_morning_is_too_late() -> None:
    wish = wall("2026-03-03 06:00")
    assert fit(FEDERAL_WINDOW, wish, wish + HOUR, wish - 24 * HOUR) == wall("2026-03-02 21:00") - MARGIN


def test_it_moves_to_now_where_the_evening_has_begun_to_end() -> None:
    now = wall("2026-03-02 20:55")
    wish = wall("2026-03-03 06:00")
    assert fit(FEDERAL_WINDOW, wish, wish + HOUR, now) == now


def test_there_is_no_way_where_the_evening_is_over_and_the_morning_too_late() -> None:
    wish = wall("2026-03-03 06:00")
    assert fit(FEDERAL_WINDOW, wish, wish + HOUR, wall("2026-03-02 21:30")) is None


@pytest.mark.parametrize("night", ["2026-03-08", "2026-11-01"])
def test_the_morning_after_the_clocks_change_begins_at_eight_on_the_wall(night: str) -> None:
    found = fit(FEDERAL_WINDOW, wall(f"{night} 01:30"), wall(f"{night} 12:00"), wall(f"{night} 00:30"))

    assert found == wall(f"{night} 08:00")


def test_a_day_that_a_zone_left_out_is_passed_over() -> None:
    apia = ZoneInfo("Pacific/Apia")  # it had no 30th of December in 2011
    wish = wall("2011-12-29 20:00", apia)

    found = fit(Window(apia, STATES["US-RI"]), wish, wish + 48 * HOUR, wish - HOUR)

    assert found == wall("2011-12-31 10:00", apia)


ZONES = st.sampled_from(
    [
        "America/Chicago", "America/New_York", "America/Phoenix", "Pacific/Honolulu", "America/St_Johns",
        "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "Asia/Kathmandu", "America/Sao_Paulo",
    ]
).map(ZoneInfo)  # fmt: skip
HOURS = st.sampled_from([FEDERAL, CAUTIOUS, *STATES.values(), every_day(time(9, 30), time(18))])
CHANGES = [
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 7, tzinfo=UTC),
    datetime(2011, 12, 30, tzinfo=UTC),
]
INSTANTS = st.one_of(
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    st.tuples(st.sampled_from(CHANGES), st.integers(-3000, 3000)).map(lambda x: x[0] + timedelta(minutes=x[1])),
)
SPANS = st.integers(1, 6000).map(lambda minutes: timedelta(minutes=minutes))


@given(ZONES, HOURS, INSTANTS, SPANS, st.integers(-6000, 6000))
def test_no_text_is_ever_meant_for_quiet_hours_or_the_past_or_when_it_is_useless(
    zone: ZoneInfo, hours: tuple[tuple[time, time], ...], nominal: datetime, useful: timedelta, ahead: int
) -> None:
    window = Window(zone, hours)
    deadline, now = nominal + useful, nominal - timedelta(minutes=ahead)

    found = fit(window, nominal, deadline, now)

    if found is None:
        assert not window.allows(max(nominal, now))
        return
    assert window.allows(found)
    opens, closes = hours[found.astimezone(zone).weekday()]
    assert opens <= found.astimezone(zone).time() < closes
    assert found >= now
    assert found < max(deadline, now + timedelta.resolution)
    assert window.closes_after(found) > found


@given(ZONES, HOURS, INSTANTS, SPANS, st.integers(0, 6000))
def test_a_last_look_at_the_planned_instant_finds_it_still_right(
    zone: ZoneInfo, hours: tuple[tuple[time, time], ...], nominal: datetime, useful: timedelta, ahead: int
) -> None:
    window = Window(zone, hours)
    planned = fit(window, nominal, nominal + useful, nominal - timedelta(minutes=ahead))

    if planned is not None:
        assert fit(window, nominal, nominal + useful, planned) == planned
