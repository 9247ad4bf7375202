"""Pauses: all texts, a clinic's or a person's, stopped at once, and let go again, whatever happens at that moment."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.reminders.store import pauses
from services.reminders.store.pauses import Scope
from services.reminders.text.text import TextState
from shared.contract.closed_sets import By
from shared.postgres.query import rows
from tests.facts.booking import course_accepted, session_cancelled, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, NOW, PATIENT
from tests.stand_ins.reminders_rig import Rig
from tests.stand_ins.reminders_story import K

PAUSES = [(Scope.ALL, ""), (Scope.CLINIC, "stella"), (Scope.CONTACT, PATIENT)]


async def pause(rig: Rig, scope: Scope, subject: str) -> bool:
    async with rig.database.begin() as connection:
        return await pauses.pause(connection, scope, subject, "desk", "a doubt", rig.clock.now())


async def resume(rig: Rig, scope: Scope, subject: str) -> bool:
    async with rig.database.begin() as connection:
        return await pauses.resume(connection, scope, subject, "desk", rig.clock.now())


async def over_or_waiting(rig: Rig, task: asyncio.Task[bool]) -> None:
    """Until somebody is through, or waits for a lock."""
    waiting = False
    while not waiting and not task.done():
        async with rig.database.begin() as connection:
            waiting = bool(await rows(connection, "SELECT 1 FROM pg_locks WHERE NOT granted"))


@pytest.mark.parametrize(("scope", "subject"), PAUSES)
async def test_a_pause_stops_texts_and_its_end_lets_go_what_still_makes_sense(
    rig: Rig, scope: Scope, subject: str
) -> None:
    await rig.planned()
    assert await pause(rig, scope, subject)
    assert not await pause(rig, scope, subject)
    await rig.walk(NOW + HOUR)
    assert rig.sender.texts == []
    assert await rig.next_due() == NOW + DAY, "it is looked at when it becomes useless, not all the time"

    assert await resume(rig, scope, subject)
    assert not await resume(rig, scope, subject)
    await rig.walk(NOW + 3 * HOUR)

    assert [(text.kind, text.at) for text in rig.sender.texts] == [(K.BOOKED, NOW + HOUR)]


async def test_what_a_pause_outlasts_is_suppressed_for_that_reason(rig: Rig) -> None:
    await rig.planned()
    await pause(rig, Scope.CONTACT, PATIENT)
    await rig.walk(NOW + DAY)

    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "paused")


@pytest.mark.parametrize(("scope", "subject"), [(Scope.CLINIC, "albany"), (Scope.CONTACT, "somebody-else")])
async def test_a_pause_of_others_stops_nothing(rig: Rig, scope: Scope, subject: str) -> None:
    await rig.planned()
    await pause(rig, scope, subject)
    await rig.walk(NOW)

    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_a_pause_waits_for_what_is_being_claimed_and_then_nothing_more_is(rig: Rig) -> None:
    await rig.planned()
    async with rig.database.begin() as connection:
        await rig.dispatch._claim(connection, NOW)
        pausing = asyncio.create_task(pause(rig, Scope.ALL, ""))
        await over_or_waiting(rig, pausing)
        assert not pausing.done()
    assert await pausing


async def test_texts_that_are_judged_while_a_pause_ends_go_out_all_the_same(rig: Rig) -> None:
    await rig.planned()
    await pause(rig, Scope.ALL, "")
    rig.clock.move(NOW)
    async with rig.database.begin() as connection:
        await rig.dispatch._claim(connection, NOW)  # they wait until they are useless, as far as this knows
        resuming = asyncio.create_task(resume(rig, Scope.ALL, ""))
        await over_or_waiting(rig, resuming)
    assert await resuming
    await rig.walk(NOW + HOUR)

    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_a_text_that_its_course_changes_while_a_pause_ends_goes_out_all_the_same(rig: Rig) -> None:
    await rig.hear(
        contact_updated(),
        course_accepted(2),
        session_confirmed(),
        session_cancelled(2, version=2, by=By.PATIENT),
    )
    await pause(rig, Scope.ALL, "")
    await rig.walk(NOW + HOUR)
    sound = rig.worker._rules

    async def load_and_resume(*about: Any) -> Any:
        loaded = await sound.load(*about)
        assert await resume(rig, Scope.ALL, "")
        return loaded

    rig.worker._rules = replace(sound, load=load_and_resume)
    await rig.hear(session_cancelled())  # one text will tell of both
    rig.worker._rules = sound
    async with rig.database.begin() as connection:
        found = await rows(connection, "SELECT look_at FROM texts WHERE kind = 'cancelled' AND state = 'scheduled'")
    assert [row.look_at <= rig.clock.now() for row in found] == [True]
