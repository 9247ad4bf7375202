"""Deadlines are acted upon when all is heard that came before them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from shared.worker.alarm import Alarm
from shared.worker.timer_loop import TimerLoop
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, HOUR, NOW, OTHER
from tests.stand_ins.fence import Topics, fence
from tests.stand_ins.road import Road, record

HOLD_ENDS = NOW + 72 * HOUR


class Bell:
    """The loop's alarm, and what it has delivered."""

    def __init__(self, booking: Road, topics: Topics) -> None:
        self._booking = booking
        self.delivered: asyncio.Queue[int] = asyncio.Queue()
        self.alarm = Alarm(AsyncIOScheduler(timezone="UTC"), booking.clock, "test")
        self.loop = TimerLoop(
            "booking", booking.database, fence(booking, topics), booking.clock, self.alarm, self._deliver
        )

    async def _deliver(self, until: datetime) -> int:
        count = await self._booking.worker.on_timers(until)
        self.delivered.put_nowait(count)
        return count

    async def next(self) -> int:
        return await asyncio.wait_for(self.delivered.get(), 10)


@asynccontextmanager
async def running(booking: Road, topics: Topics) -> AsyncIterator[Bell]:
    bell = Bell(booking, topics)
    task = asyncio.create_task(bell.loop.run())
    try:
        yield bell
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_hold_does_not_expire_before_the_money_that_came_in_time_is_heard(booking: Road) -> None:
    await booking.hear(course_requested(1), course_requested(1, OTHER))
    money = record(prepayment_satisfied(), at=HOLD_ENDS - HOUR)
    topics = Topics({(money.topic, 0): money.offset + 1})
    booking.clock.time = HOLD_ENDS
    async with running(booking, topics) as bell:
        await topics.looked_at(3)
        assert bell.delivered.empty()
        assert await booking.values("SELECT count(*) FROM timers") == [2]
        await booking.hear(money)
        assert await bell.next() == 1
        assert await bell.next() == 0
    assert await booking.types(COURSE) == ["course.accepted", "session.confirmed"]
    assert await booking.types(OTHER) == ["course.accepted", "session.released", "course.closed"]


async def test_nothing_expires_while_kafka_is_away(booking: Road) -> None:
    await booking.hear(course_requested(1))
    topics = Topics({})
    topics.away = 1
    booking.clock.time = HOLD_ENDS
    async with running(booking, topics) as bell:
        assert await bell.next() == 1
    assert topics.away == 0


async def test_the_loop_sleeps_until_it_is_rung(booking: Road) -> None:
    async with running(booking, Topics({})) as bell:
        await booking.hear(course_requested(1))
        bell.alarm.ring()
        booking.clock.time = HOLD_ENDS
        bell.alarm.ring()
        assert await bell.next() == 1
