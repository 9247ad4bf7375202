"""Plans, changes and closures as booking's tables keep them, on the road that every message takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asyncpg import IntegrityConstraintViolationError

from services.booking.chairs.free_starts import first_places
from services.booking.rules.closures import ClosureRequested
from services.booking.store.calendar import occupancy
from services.booking.store.closures import closure_results
from services.booking.store.courses import load_courses
from shared.contract.clinic import CourseChangeRequested, CoursePlan
from shared.contract.register import EventData
from tests.booking_story import (
    COURSE,
    DAY,
    HOUR,
    NOW,
    OTHER,
    STELLA,
    checked_in,
    moved,
    requested,
    room,
    satisfied,
    session_id,
    start,
)
from tests.road import Road, booking_rules, road

FIRST_DAY = STELLA.location.local(start(1)).date()


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    """Stella with two chairs."""
    async with road(databases["booking"], booking_rules(room(2))) as on:
        yield on


def closure(**told: object) -> ClosureRequested:
    begins = datetime.combine(FIRST_DAY, datetime.min.time(), STELLA.location.tz)
    fields = {"closure_id": OTHER, "location": "stella", "starts_at": begins, "ends_at": begins + DAY}
    return ClosureRequested.model_validate(fields | told)


async def results(booking: Road, closure_id: UUID = OTHER) -> list[tuple[UUID, str]]:
    """What became of whom."""
    async with booking.database.begin() as connection:
        found = await closure_results(connection, closure_id)
    return [(row["session_id"], row["result"]) for row in found]


async def seats(booking: Road) -> Sequence[dict[str, Any]]:
    return await booking.rows("SELECT starts_at, chair, provider, state, version FROM sessions ORDER BY starts_at")


async def test_a_plan_is_held_whole_around_what_is_taken(booking: Road) -> None:
    await booking.hear(requested(6))
    plan = CoursePlan(first_day=FIRST_DAY, weekdays=("tue", "thu"), earliest="10:00", latest="10:00")
    await booking.hear(requested(course=OTHER, patient_id="x", sessions=None, plan=plan))
    assert await booking.types(OTHER) == ["course.accepted"]
    chairs = await booking.rows(
        "SELECT starts_at, array_agg(chair ORDER BY chair) AS chairs FROM sessions GROUP BY 1 ORDER BY 1"
    )
    assert [row["starts_at"] for row in chairs] == [start(n) for n in range(1, 7)]
    assert {tuple(row["chairs"]) for row in chairs} == {("chair-1", "chair-2")}


async def test_plans_that_come_at_once_see_each_other(booking: Road) -> None:
    plan = CoursePlan(first_day=FIRST_DAY, count=1, weekdays=("tue",))
    wishes = [
        requested(course=UUID(int=n), patient_id=f"x{n}", sessions=None, plan=plan, minutes=300) for n in range(1, 7)
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
        await booking.hear(requested(1, UUID(int=n), patient_id=f"x{n}"))
    await booking.hear(requested(1))
    [(_, event)] = await booking.published(COURSE)
    assert [conflict["code"] for conflict in event["conflicts"]] == ["chair_taken"]
    [other] = event["alternatives"]
    at = datetime.fromisoformat(other["starts_at"][0])
    await booking.hear(requested(1, sessions=({"session_id": session_id(1), "starts_at": at},)))
    assert await booking.types(COURSE) == ["course.rejected", "course.accepted"]


async def test_the_first_free_places_are_read_without_a_lock(booking: Road) -> None:
    for n in (1, 2):
        await booking.hear(requested(1, UUID(int=n), patient_id=f"x{n}"))
    await booking.submit(closure(chair="chair-2"))
    place = room(2)["stella"]
    async with booking.database.begin() as connection:
        calendar = await occupancy(connection, place, FIRST_DAY, 2, "anna")
    found = first_places(calendar, place, "ketamine_induction", FIRST_DAY, 2, NOW, limit=60)
    shown = [f"{place.location.local(one.starts_at):%a %H:%M} {one.chair}" for one in found]
    assert shown[:3] == ["Tue 08:00 chair-1", "Tue 08:15 chair-1", "Tue 11:45 chair-1"]
    assert "Wed 08:00 chair-1" in shown
    assert not any("chair-2" in line for line in shown)


async def test_a_change_is_kept_beside_what_was_asked_first(booking: Road) -> None:
    wishes = ({"session_id": UUID(int=70), "starts_at": start(3)},)
    await booking.hear(requested(2))
    await booking.hear(
        CourseChangeRequested.model_validate(
            {"course_id": COURSE, "companions": ["driver"], "payer": "insurance", "add_sessions": wishes}
        )
    )
    await booking.hear(requested(2), requested(2, companions=("driver",)))
    assert await booking.types(COURSE) == ["course.accepted", "course.changed", "request.rejected"]
    async with booking.database.begin() as connection:
        course = (await load_courses(connection, {COURSE}))[str(COURSE)]
    assert course.original == requested(2)
    assert course.request == requested(2, companions=("driver",), payer="insurance")
    assert [s.number for s in course.sessions] == [1, 2, 3]


async def test_a_closure_lists_who_sits_there_and_each_is_moved_by_a_message_of_its_own(booking: Road) -> None:
    await booking.hear(requested(2), requested(1, OTHER, patient_id="x"))
    await booking.hear(satisfied(1))
    assert await booking.submit(closure()) == []
    waiting = {session_id(1), session_id(1, OTHER)}
    assert set(await results(booking)) == {(id, "waiting") for id in waiting}
    assert await booking.worker.on_timers(NOW) == 2
    assert set(await results(booking)) == {(id, "moved") for id in waiting}
    assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.rescheduled"]
    found = await booking.rows("SELECT state, wall_time FROM sessions ORDER BY wall_time")
    assert all(row["wall_time"].date() > FIRST_DAY for row in found)
    assert sorted(row["state"] for row in found) == ["confirmed", "held", "held"]


async def test_a_closure_tells_who_stays_and_who_is_over(booking: Road) -> None:
    await booking.hear(requested(1), satisfied(1), requested(1, OTHER, patient_id="x"))
    await booking.submit(closure(ends_at=start(1) + 60 * DAY))
    booking.clock.time = NOW + 73 * HOUR
    await booking.worker.on_timers(booking.clock.time)
    assert set(await results(booking)) == {(session_id(1), "stays"), (session_id(1, OTHER), "over")}
    assert set(await booking.values("SELECT kind FROM attention")) == {"closure_unmoved"}


async def test_the_same_closure_again_lists_the_same(booking: Road) -> None:
    await booking.hear(requested(1))
    await booking.submit(closure(chair="chair-1"), "once")
    await booking.worker.on_timers(NOW)
    await booking.submit(closure(chair="chair-1"), "twice")
    assert await booking.worker.on_timers(NOW) == 0
    assert await results(booking) == [(session_id(1), "moved")]
    assert [(row["chair"], row["starts_at"]) for row in await seats(booking)] == [("chair-2", start(1))]


async def test_a_request_that_comes_with_a_closure_finds_it(booking: Road) -> None:
    """They meet at the location's lock, in whichever order: nobody is left in a closed chair."""
    wishes: list[EventData] = [requested(1, UUID(int=n), patient_id=f"x{n}") for n in range(1, 7)]
    await asyncio.gather(booking.submit(closure(chair="chair-1")), *(booking.hear(wish) for wish in wishes))
    await booking.worker.on_timers(NOW)
    assert [row["chair"] for row in await seats(booking) if row["starts_at"] == start(1)] in (["chair-2"], [])
    assert (await booking.types()).count("course.accepted") in (1, 2)


@pytest.mark.parametrize(
    ("location", "at", "wall"),
    [
        ("stella", "2026-03-06T16:00Z", "2026-03-06 10:00"),
        ("stella", "2026-03-09T15:00Z", "2026-03-09 10:00"),
        ("albany", "2026-10-30T14:00Z", "2026-10-30 10:00"),
        ("albany", "2026-11-02T15:00Z", "2026-11-02 10:00"),
    ],
)
async def test_the_time_on_the_wall_stands_beside_the_instant(booking: Road, location: str, at: str, wall: str) -> None:
    wish = requested(1, location=location, sessions=({"session_id": session_id(1), "starts_at": at},))
    await booking.hear(wish)
    [row] = await booking.rows("SELECT time_zone, wall_time FROM sessions")
    zones = {"stella": "America/Chicago", "albany": "America/New_York"}
    assert (row["time_zone"], f"{row['wall_time']:%Y-%m-%d %H:%M}") == (zones[location], wall)
    later = datetime.fromisoformat(at) + HOUR
    await booking.hear(moved(1, later))
    [moved_to] = await booking.values("SELECT wall_time FROM sessions")
    assert moved_to - row["wall_time"] == HOUR


async def insert(booking: Road, at: timedelta, share: tuple[timedelta, timedelta] | None, number: int) -> None:
    begins = start(3) + at
    await booking.rows(
        """INSERT INTO sessions (session_id, course_id, number, state, starts_at, ends_at, time_zone, location, chair,
                                 provider, patient_id, version, "grant", provider_from, provider_until)
           VALUES (gen_random_uuid(), :course, :number, 'held', :begins, :ends, 'UTC', 'stella', :chair,
                   'provider-1', :chair, 1, 0, :from, :until)
           RETURNING session_id""",
        course=COURSE,
        number=number,
        begins=begins,
        ends=begins + 2 * HOUR,
        chair=f"chair-{number}",
        **{
            "from": begins + share[0] if share else None,
            "until": begins + share[1] if share else None,
        },
    )


async def test_two_visits_may_share_a_provider_who_stays_for_a_part_and_no_longer(booking: Road) -> None:
    quarter = HOUR / 4
    await booking.hear(requested(1))
    await insert(booking, timedelta(), (quarter, HOUR), 11)
    await insert(booking, 3 * quarter, (quarter, HOUR), 12)
    with pytest.raises(IntegrityConstraintViolationError, match="one_patient_for_a_provider"):
        await insert(booking, 3 * quarter, None, 13)
    with pytest.raises(IntegrityConstraintViolationError, match="check constraint"):
        await insert(booking, 5 * HOUR, (quarter, 3 * HOUR), 14)


async def test_what_does_not_move_a_session_leaves_its_place_as_it_was(booking: Road) -> None:
    await booking.hear(requested(1))
    before = (await seats(booking))[0]
    await booking.hear(satisfied(1))
    booking.clock.time = start(1)
    await booking.hear(checked_in(1))
    assert (await seats(booking))[0] == before | {"state": "checked_in", "version": 3}
