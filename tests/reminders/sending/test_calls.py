"""Calls to the provider: none waits for another's answer, and none is broken off."""

import asyncio

import pytest

from services.reminders.text.text import TextState
from tests.facts.billing import prepayment_required
from tests.facts.course import MINUTE, NOW
from tests.stand_ins.reminders_rig import Rig
from tests.stand_ins.reminders_story import K


async def test_a_call_that_hangs_holds_back_no_other_text(rig: Rig) -> None:
    """The answer of one call may take half a minute."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hang_once() -> None:
        if not begun.is_set():
            begun.set()
            await go_on.wait()

    rig.sender.before = hang_once
    await rig.planned()
    running = asyncio.create_task(rig.dispatch.run())
    async with asyncio.timeout(20):
        await begun.wait()
        await rig.hear(prepayment_required(1))
        rig.dispatch._alarm.ring()
        while (await rig.became())[K.PAYMENT_DUE][0] is not TextState.SENT:  # noqa: ASYNC110 - nothing rings then
            await asyncio.sleep(0.01)
    assert (await rig.became())[K.BOOKED] == (TextState.SENDING, None)
    running.cancel()
    go_on.set()
    await asyncio.wait([running])
    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_a_stop_of_the_service_carries_a_begun_sending_through(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(NOW + 5 * MINUTE)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    rig.sender.before = wait
    running = asyncio.create_task(rig.dispatch.run())
    await begun.wait()
    assert await rig.next_due() == rig.clock.now()
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)
