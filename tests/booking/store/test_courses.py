"""Courses as booking's tables keep them."""

from datetime import datetime
from uuid import UUID

import pytest

from services.booking.store.courses import load_courses
from shared.contract.clinic import CourseRequested
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import (
    course_change_requested,
    course_requested,
    patient_checked_in,
    session_cancel_requested,
    session_reschedule_requested,
)
from tests.facts.course import COURSE, DAY, HOUR, OTHER, session_id, start
from tests.stand_ins.road import Road, road


async def test_a_change_is_kept_beside_what_was_asked_first(booking: Road) -> None:
    wishes = ({"session_id": UUID(int=70), "starts_at": start(3)},)
    await booking.hear(course_requested(2))
    await booking.hear(course_change_requested(companions=["driver"], payer="insurance", add_sessions=wishes))
    await booking.hear(course_requested(2), course_requested(2, companions=("driver",)))
    assert await booking.types(COURSE) == ["course.accepted", "course.changed", "request.rejected"]
    async with booking.database.begin() as connection:
        course = (await load_courses(connection, {COURSE}))[str(COURSE)]
    assert course.original == course_requested(2)
    assert course.request == course_requested(2, companions=("driver",), payer="insurance")
    assert [s.number for s in course.sessions] == [1, 2, 3]


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
    wish = course_requested(1, location=location, sessions=({"session_id": session_id(1), "starts_at": at},))
    await booking.hear(wish)
    [row] = await booking.rows("SELECT time_zone, wall_time FROM sessions")
    zones = {"stella": "America/Chicago", "albany": "America/New_York"}
    assert (row["time_zone"], f"{row['wall_time']:%Y-%m-%d %H:%M}") == (zones[location], wall)
    later = datetime.fromisoformat(at) + HOUR
    await booking.hear(session_reschedule_requested(1, later))
    [moved_to] = await booking.values("SELECT wall_time FROM sessions")
    assert moved_to - row["wall_time"] == HOUR


async def test_what_does_not_move_a_session_leaves_its_place_as_it_was(booking: Road) -> None:
    await booking.hear(course_requested(1))
    place = "SELECT starts_at, ends_at, wall_time, chair, provider FROM sessions"
    before = await booking.rows(place)
    await booking.hear(prepayment_satisfied(1))
    booking.clock.time = start(1)
    await booking.hear(patient_checked_in(1))
    assert await booking.rows(place) == before
    assert await booking.rows("SELECT state, version FROM sessions") == [{"state": "checked_in", "version": 3}]


async def test_what_is_saved_is_what_is_loaded(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(course_requested(2, package="induction", companions=("driver",)), prepayment_satisfied(1))
        await booking.hear(prepayment_satisfied(1, course=OTHER))
        before = await booking.rows("SELECT * FROM courses ORDER BY course_id")
        sessions = await booking.rows("SELECT * FROM sessions ORDER BY number")
        await booking.hear(session_cancel_requested(2))
        await booking.hear(course_requested(2, package="induction", companions=("driver",)))
        after = await booking.rows("SELECT * FROM courses ORDER BY course_id")
        assert after == before
        assert (await booking.rows("SELECT * FROM sessions ORDER BY number"))[0] == sessions[0]
        await booking.hear(course_requested(1, OTHER))
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]


async def test_a_session_id_that_another_course_has_is_refused(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(course_requested(1))
        theirs = course_requested(1, OTHER).model_dump() | {
            "sessions": [{"session_id": session_id(1), "starts_at": start(2) + DAY}]
        }
        await booking.hear(CourseRequested.model_validate(theirs))
        assert await booking.types(OTHER) == ["course.rejected"]
        assert await booking.letters() == []
