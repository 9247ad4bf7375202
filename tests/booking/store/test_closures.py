"""Closures as booking's tables keep them, with what became of each session."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.booking.store.closures import closure_results
from shared.contract.register import EventData
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import STELLA
from tests.stand_ins.booking_story import closure
from tests.stand_ins.road import Road


async def results(booking: Road) -> list[tuple[UUID, str]]:
    """What became of whom."""
    async with booking.database.begin() as connection:
        found = await closure_results(connection, closure().closure_id)
    return [(row["session_id"], row["result"]) for row in found]


async def seats(booking: Road) -> Sequence[dict[str, Any]]:
    return await booking.rows("SELECT starts_at, chair, provider, state, version FROM sessions ORDER BY starts_at")


async def test_a_closure_lists_who_sits_there_and_each_is_moved_by_a_message_of_its_own(booking: Road) -> None:
    await booking.hear(course_requested(2), course_requested(1, OTHER, patient_id="x"))
    await booking.hear(prepayment_satisfied(1))
    assert await booking.submit(closure()) == []
    waiting = {session_id(1), session_id(1, OTHER)}
    assert set(await results(booking)) == {(id, "waiting") for id in waiting}
    assert await booking.worker.on_timers(NOW) == 2
    assert set(await results(booking)) == {(id, "moved") for id in waiting}
    assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.rescheduled"]
    found = await booking.rows("SELECT state, wall_time FROM sessions ORDER BY wall_time")
    assert all(row["wall_time"].date() > STELLA.location.local(start(1)).date() for row in found)
    assert sorted(row["state"] for row in found) == ["confirmed", "held", "held"]


async def test_a_closure_tells_who_stays_and_who_is_over(booking: Road) -> None:
    await booking.hear(course_requested(1), prepayment_satisfied(1), course_requested(1, OTHER, patient_id="x"))
    await booking.submit(closure(ends_at=start(1) + 60 * DAY))
    booking.clock.time = NOW + 73 * HOUR
    await booking.worker.on_timers(booking.clock.time)
    assert set(await results(booking)) == {(session_id(1), "stays"), (session_id(1, OTHER), "over")}
    assert set(await booking.values("SELECT kind FROM attention")) == {"closure_unmoved"}


async def test_the_same_closure_again_lists_the_same(booking: Road) -> None:
    await booking.hear(course_requested(1))
    await booking.submit(closure(chair="chair-1"), "once")
    await booking.worker.on_timers(NOW)
    await booking.submit(closure(chair="chair-1"), "twice")
    assert await booking.worker.on_timers(NOW) == 0
    assert await results(booking) == [(session_id(1), "moved")]
    assert [(row["chair"], row["starts_at"]) for row in await seats(booking)] == [("chair-2", start(1))]


async def test_a_request_that_comes_with_a_closure_finds_it(booking: Road) -> None:
    """They meet at the location's lock, in whichever order: nobody is left in a closed chair."""
    wishes: list[EventData] = [course_requested(1, UUID(int=n), patient_id=f"x{n}") for n in range(1, 7)]
    await asyncio.gather(booking.submit(closure(chair="chair-1")), *(booking.hear(wish) for wish in wishes))
    await booking.worker.on_timers(NOW)
    assert [row["chair"] for row in await seats(booking) if row["starts_at"] == start(1)] in (["chair-2"], [])
    assert (await booking.types()).count("course.accepted") in (1, 2)
