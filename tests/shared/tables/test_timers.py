"""Deadlines in the database."""

from datetime import datetime, timedelta
from typing import cast

from shared.contract.internal import TimerDue
from shared.decision.decision import Timer
from shared.postgres.writes import Writes
from shared.tables import timers
from shared.tables.timers import next_due, take_due
from tests.facts.course import HOUR, NOW
from tests.stand_ins.road import Road

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


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
