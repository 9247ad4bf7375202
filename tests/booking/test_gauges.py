"""How long somebody could sit on a chair: opening hours, holidays, closures, and the nights on which clocks change."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.booking.gauges import Shut, open_minutes
from services.booking.rules.closures import ClosureRequested
from shared.configuration.clinic import Opening
from shared.contract.closed_sets import Needs
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import DAY, HOUR, NOW, start
from tests.stand_ins.booking_desk import Desk, desk
from tests.stand_ins.booking_places import STELLA, room
from tests.stand_ins.callers import keys_file
from tests.stand_ins.road import request
from tests.stand_ins.scrapes import scrape

FIRST_DAY = date(2026, 3, 2)
PLACE = room(2)["stella"]
WHOLE_DAY = 2 * 11 * 60
"""Two chairs, from 8 to 19."""


def minutes(*shut: Shut, days: int = 1, first: date = FIRST_DAY) -> float:
    return open_minutes(PLACE, first, days, shut)


def test_each_chair_counts_while_the_place_is_open() -> None:
    assert minutes() == WHOLE_DAY
    assert minutes(days=7) == 5 * WHOLE_DAY, "closed at the weekend"
    assert open_minutes(STELLA, FIRST_DAY, 1, []) == 4 * 11 * 60


def test_a_holiday_has_no_minutes() -> None:
    closed = replace(PLACE, location=PLACE.location.model_copy(update={"holidays": (FIRST_DAY,)}))
    assert open_minutes(closed, FIRST_DAY, 7, []) == 4 * WHOLE_DAY


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
    assert open_minutes(always, FIRST_DAY, 1, []) == 2 * 13 * 60
    spring = FIRST_DAY + timedelta(days=6)
    assert open_minutes(always, spring, 1, []) == 2 * 12 * 60, "an hour is missing"


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened


async def test_who_has_not_paid_for_tomorrow_is_counted_by_what_is_missing(booking: Desk) -> None:
    await booking.hear(course_requested(2), prepayment_satisfied(2))

    async def unpaid(within: str, needs: str = "money", location: str = "stella") -> float:
        told = await scrape(booking.app)
        return told.value("chairtime_unpaid_sessions", location=location, within=within, needs=needs)

    assert (await unpaid("24h"), await unpaid("48h")) == (0, 0)
    booking.clock.time = start(1) - 47 * HOUR
    assert (await unpaid("24h"), await unpaid("48h")) == (0, 1)
    booking.clock.time = start(1) - 23 * HOUR
    assert (await unpaid("24h"), await unpaid("48h"), await unpaid("48h", location="albany")) == (1, 1, 0)
    await booking.hear(prepayment_required(needs=Needs.AUTHORIZATION))
    assert (await unpaid("24h"), await unpaid("24h", "authorization")) == (0, 1)
    booking.clock.time = start(1)
    assert await unpaid("24h", "authorization") == 1, "this very moment"
    booking.clock.time = start(2) - HOUR
    assert (await unpaid("48h"), await unpaid("48h", "authorization")) == (0, 0), "one is over, one is paid"


async def test_chair_use_is_what_is_taken_of_what_is_open(booking: Desk) -> None:
    booking.clock.time = start(1) - HOUR
    before = await scrape(booking.app)
    assert before.value("chairtime_chair_minutes_open", location="stella", days="today") == 4 * 11 * 60
    assert before.value("chairtime_chair_minutes_open", location="stella", days="7d") == 5 * 4 * 11 * 60

    booking.clock.time = NOW
    await booking.hear(course_requested(2), prepayment_satisfied(1))
    closure = ClosureRequested(
        closure_id=uuid4(), location="stella", chair="chair-4", starts_at=start(1) - HOUR, ends_at=start(1) + HOUR
    )
    await booking.service.worker.submit(request(closure))
    booking.clock.time = start(1) - HOUR
    told = await scrape(booking.app)
    (session,) = await booking.rows("SELECT ends_at - starts_at AS length FROM sessions WHERE number = 1")
    length = session.length.total_seconds() / 60

    def taken(days: str, state: str) -> float:
        return told.value("chairtime_chair_minutes_taken", location="stella", days=days, state=state)

    assert (taken("today", "confirmed"), taken("today", "held")) == (length, 0)
    assert (taken("7d", "confirmed"), taken("7d", "held")) == (length, length)
    assert told.value("chairtime_chair_minutes_open", location="stella", days="today") == 4 * 11 * 60 - 120
