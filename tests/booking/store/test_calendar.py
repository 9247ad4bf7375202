"""The calendar as booking's tables keep it: plans and alternatives around what is taken."""

import asyncio
from datetime import datetime
from uuid import UUID

import pytest

from services.booking.chairs.calendar import DayNotLoaded
from services.booking.chairs.free_starts import first_seats
from services.booking.store.calendar import occupancy
from shared.contract.clinic import CoursePlan
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, DAY, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import STELLA, room
from tests.stand_ins.booking_story import closure
from tests.stand_ins.road import Road

FIRST_DAY = STELLA.location.local(start(1)).date()


async def test_a_plan_is_held_whole_around_what_is_taken(booking: Road) -> None:
    await booking.hear(course_requested(6))
    plan = CoursePlan(first_day=FIRST_DAY, weekdays=("tue", "thu"), earliest="10:00", latest="10:00")
    await booking.hear(course_requested(course=OTHER, patient_id="x", sessions=None, plan=plan))
    assert await booking.types(OTHER) == ["course.accepted"]
    chairs = await booking.rows(
        "SELECT starts_at, array_agg(chair ORDER BY chair) AS chairs FROM sessions GROUP BY 1 ORDER BY 1"
    )
    assert [row["starts_at"] for row in chairs] == [start(n) for n in range(1, 7)]
    assert {tuple(row["chairs"]) for row in chairs} == {("chair-1", "chair-2")}


async def test_plans_that_come_at_once_see_each_other(booking: Road) -> None:
    plan = CoursePlan(first_day=FIRST_DAY, count=1, weekdays=("tue",))
    wishes = [
        course_requested(course=UUID(int=n), patient_id=f"x{n}", sessions=None, plan=plan, minutes=300)
        for n in range(1, 7)
    ]
    await asyncio.gather(*(booking.hear(wish) for wish in wishes))
    told = await booking.published()
    assert sorted(name for name, _ in told) == [
        *["booking.course.accepted.v1"] * 4,  # two chairs, twice five hours
        *["booking.course.rejected.v1"] * 2,
    ]
    starts = {datetime.fromisoformat(event["nearest_start"]) for _, event in told if "nearest_start" in event}
    assert {STELLA.location.local(at).date() for at in starts} == {FIRST_DAY + 7 * DAY}


async def test_a_rejection_names_other_times_that_are_free(booking: Road) -> None:
    for n in (1, 2):
        await booking.hear(course_requested(1, UUID(int=n), patient_id=f"x{n}"))
    await booking.hear(course_requested(1))
    [(_, event)] = await booking.published(COURSE)
    assert [conflict["code"] for conflict in event["conflicts"]] == ["chair_taken"]
    [other] = event["alternatives"]
    at = datetime.fromisoformat(other["starts_at"][0])
    await booking.hear(course_requested(1, sessions=({"session_id": session_id(1), "starts_at": at},)))
    assert await booking.types(COURSE) == ["course.rejected", "course.accepted"]


async def test_the_first_free_places_are_read_without_a_lock(booking: Road) -> None:
    for n in (1, 2):
        await booking.hear(course_requested(1, UUID(int=n), patient_id=f"x{n}"))
    await booking.submit(closure(chair="chair-2"))
    place = room(2)["stella"]
    async with booking.database.begin() as connection:
        calendar = await occupancy(connection, place, FIRST_DAY, 2, "anna")
    found = first_seats(calendar, place, "ketamine_induction", FIRST_DAY, 2, NOW, limit=60)
    shown = [f"{place.location.local(one.starts_at):%a %H:%M} {one.chair}" for one in found]
    assert shown[:3] == ["Tue 08:00 chair-1", "Tue 08:15 chair-1", "Tue 11:45 chair-1"]
    assert "Wed 08:00 chair-1" in shown
    assert not any("chair-2" in line for line in shown)
    with pytest.raises(DayNotLoaded):
        first_seats(calendar, place, "ketamine_induction", FIRST_DAY, 3, NOW, limit=99)
    with pytest.raises(DayNotLoaded):
        first_seats(calendar, place, "ketamine_induction", FIRST_DAY, 1, NOW, limit=1, patient_id="ben")
