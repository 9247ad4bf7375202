"""What wakes a loop."""

import asyncio

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from shared.worker.alarm import Alarm
from tests.facts.course import HOUR, NOW
from tests.stand_ins.road import Road


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
