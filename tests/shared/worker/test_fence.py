"""The fence behind which deadlines wait."""

import asyncio

from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import HOUR, NOW
from tests.stand_ins.fence import Topics, fence
from tests.stand_ins.road import Road, record


async def test_the_fence_is_passed_at_once_when_all_is_heard(booking: Road) -> None:
    told = record(course_requested())
    await booking.hear(told)
    topics = Topics({(told.topic, 0): told.offset + 1, (told.topic, 1): 0})
    booking.clock.time = NOW + HOUR
    assert await fence(booking, topics).passed() == NOW + HOUR


async def test_the_fence_waits_for_each_partition(booking: Road) -> None:
    one, two = record(course_requested()), record(prepayment_satisfied())
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
    heard = record(course_requested())
    topics = Topics({lost: 40, (heard.topic, 0): heard.offset + 1}, {lost: 40})
    passed = asyncio.create_task(fence(booking, topics).passed())
    await topics.looked_at(2)
    assert not passed.done(), "the other partition still has something to hear"
    await booking.hear(heard)
    assert await asyncio.wait_for(passed, 5) == NOW
