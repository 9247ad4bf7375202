"""Deadlines in the database, and the fence behind which they wait."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import cast

import pytest
from aiokafka.errors import KafkaConnectionError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from shared.contract.internal import TimerDue
from shared.decision.decision import Timer
from shared.kafka.consumer import Kafka, Place
from shared.postgres.writes import Writes
from shared.tables import timers
from shared.tables.timers import next_due, take_due
from shared.worker.alarm import Alarm
from shared.worker.fence import Fence
from shared.worker.timer_loop import TimerLoop
from tests.booking_story import COURSE, HOUR, NOW, OTHER, requested, satisfied
from tests.road import Road, record, road

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOLD_ENDS = NOW + 72 * HOUR


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    async with road(databases["booking"]) as on:
        yield on


async def save(booking: Road, *given: tuple[str, Timer]) -> None:
    async with booking.database.begin() as connection:
        writes = Writes()
        timers.save(writes, [(of, timer, TRACE, "a cause") for of, timer in given])
        await writes.run(connection)


async def due(booking: Road, now: datetime) -> list[tuple[str, str, str, datetime]]:
    async with booking.database.begin() as connection:
        taken = [(m, cast(TimerDue, m.data)) for m in await take_due(connection, now)]
    assert all(message.arrived_at == now and message.time == data.due_at for message, data in taken)
    return [(data.of, data.kind, data.subject, data.due_at) for _, data in taken]


async def test_a_timer_that_is_set_again_is_replaced(booking: Road) -> None:
    await save(booking, ("c", Timer("hold", NOW)))
    await save(booking, ("c", Timer("hold", NOW + HOUR)))
    assert await due(booking, NOW) == []
    assert await due(booking, NOW + HOUR) == [("c", "hold", "", NOW + HOUR)]
    assert await due(booking, NOW + HOUR) == [], "it is delivered once"


async def test_a_timer_is_taken_back_alone(booking: Road) -> None:
    await save(booking, ("c", Timer("hold", NOW)), ("c", Timer("hold", NOW, "s")), ("d", Timer("hold", NOW)))
    await save(booking, ("c", Timer("hold", None)), ("never", Timer("set", None)))
    assert await due(booking, NOW) == [("c", "hold", "s", NOW), ("d", "hold", "", NOW)]


async def test_a_deadline_keeps_the_trace_of_what_set_it_last(booking: Road) -> None:
    later = TRACE.replace("4bf9", "0000")
    async with booking.database.begin() as connection:
        for trace in (TRACE, later):
            writes = Writes()
            timers.save(writes, [("c", Timer("hold", NOW), trace, "a cause")])
            await writes.run(connection)
        (message,) = await take_due(connection, NOW)
    assert message.traceparent == later


async def test_of_two_in_one_batch_the_later_counts(booking: Road) -> None:
    later = NOW + HOUR
    await save(
        booking,
        *(("a", Timer("t", NOW)), ("a", Timer("t", None))),
        *(("b", Timer("t", None)), ("b", Timer("t", later))),
        *(("c", Timer("t", NOW)), ("c", Timer("t", later))),
    )
    assert await due(booking, later) == [("b", "t", "", later), ("c", "t", "", later)]


async def test_what_is_due_is_taken_oldest_first(booking: Road) -> None:
    await save(booking, *((f"course-{n}", Timer("t", NOW + (n * 7 % 10) * HOUR)) for n in range(10)))
    taken = await due(booking, NOW + 5 * HOUR)
    assert [at for *_, at in taken] == [NOW + n * HOUR for n in range(6)]
    async with booking.database.begin() as connection:
        assert await next_due(connection) == NOW + 6 * HOUR


async def test_more_timers_than_a_batch_are_taken_in_order_too(booking: Road) -> None:
    many = timers.BATCH + 5
    await save(booking, *((f"c{n}", Timer("t", NOW - timedelta(seconds=n))) for n in range(many)))
    first = await due(booking, NOW)
    assert [name for name, *_ in first] == [f"c{n}" for n in range(many - 1, 4, -1)]
    assert [name for name, *_ in await due(booking, NOW)] == ["c4", "c3", "c2", "c1", "c0"]


async def test_two_replicas_share_what_is_due(booking: Road) -> None:
    await save(booking, ("c", Timer("t", NOW)), ("d", Timer("t", NOW)))
    async with booking.database.begin() as one, booking.database.begin() as two:
        assert len(await take_due(one, NOW, 1)) == 1
        assert len(await take_due(two, NOW)) == 1, "the other one's is passed over, not waited for"


class Topics:
    """Kafka as far as the fence looks at it: ends and beginnings of partitions, counted looks."""

    def __init__(self, ends: Mapping[Place, int], starts: Mapping[Place, int] | None = None) -> None:
        self.end = dict(ends)
        self.start = dict(starts or {})
        self.away = 0
        self._looks = asyncio.Semaphore(0)

    async def ends(self) -> dict[Place, int]:
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("away")
        return dict(self.end)

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        self._looks.release()
        return {place: self.start.get(place, 0) for place in places}

    async def looked_at(self, times: int) -> None:
        """Wait until the fence has looked so many times and was not satisfied."""
        async with asyncio.timeout(10):
            for _ in range(times):
                await self._looks.acquire()


def fence(booking: Road, topics: Topics) -> Fence:
    return Fence(booking.database, cast(Kafka, topics), booking.clock)


async def test_the_fence_is_passed_at_once_when_all_is_heard(booking: Road) -> None:
    told = record(requested())
    await booking.hear(told)
    topics = Topics({(told.topic, 0): told.offset + 1, (told.topic, 1): 0})
    booking.clock.time = NOW + HOUR
    assert await fence(booking, topics).passed() == NOW + HOUR


async def test_the_fence_waits_for_each_partition(booking: Road) -> None:
    one, two = record(requested()), record(satisfied())
    topics = Topics({(one.topic, 0): one.offset + 1, (two.topic, 0): two.offset + 1})
    passed = asyncio.create_task(fence(booking, topics).passed())
    await booking.hear(one)
    await topics.looked_at(3)
    assert not passed.done()
    booking.clock.time = NOW + HOUR
    await booking.hear(two)
    assert await asyncio.wait_for(passed, 5) == NOW, "the instant is that at which the ends were read"


async def test_what_retention_has_deleted_does_not_block_the_fence(booking: Road) -> None:
    lost = ("clinic.sessions", 3)
    heard = record(requested())
    topics = Topics({lost: 40, (heard.topic, 0): heard.offset + 1}, {lost: 40})
    passed = asyncio.create_task(fence(booking, topics).passed())
    await topics.looked_at(2)
    assert not passed.done(), "the other partition still has something to hear"
    await booking.hear(heard)
    assert await asyncio.wait_for(passed, 5) == NOW


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
    await booking.hear(requested(1), requested(1, OTHER))
    money = record(satisfied(), at=HOLD_ENDS - HOUR)
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
    await booking.hear(requested(1))
    topics = Topics({})
    topics.away = 1
    booking.clock.time = HOLD_ENDS
    async with running(booking, topics) as bell:
        assert await bell.next() == 1
    assert topics.away == 0


async def test_the_loop_sleeps_until_it_is_rung(booking: Road) -> None:
    async with running(booking, Topics({})) as bell:
        await booking.hear(requested(1))
        bell.alarm.ring()
        booking.clock.time = HOLD_ENDS
        bell.alarm.ring()
        assert await bell.next() == 1


async def test_an_earlier_deadline_wakes_the_loop_and_a_later_one_does_not(booking: Road) -> None:
    alarm = Alarm(AsyncIOScheduler(timezone="UTC"), booking.clock, "test")
    alarm.ring_at(NOW + 2 * HOUR)
    alarm.ring_before(NOW + 3 * HOUR)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(alarm.wait(), 0.05)
    alarm.ring_before(NOW + HOUR)
    await asyncio.wait_for(alarm.wait(), 5)
    alarm.ring_at(None)
    alarm.ring_before(NOW + 3 * HOUR)
    await asyncio.wait_for(alarm.wait(), 5)
