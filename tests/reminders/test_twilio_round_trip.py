"""Texts to a provider that fails after it took them, and its reports of them: over HTTP, both ways."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from aiohttp import ClientTimeout

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Mood
from deploy.local.kafka.node import free_port
from services.reminders.sending.twilio import TwilioSender
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.stand_ins.callers import served
from tests.stand_ins.reminders_front import NUMBERS, Front, open_front

COURSES = 60
STATUSES = ("queued", "sending", "sent", "delivered")


@pytest.fixture
async def trip(reminders_url: str, tmp_path: Path) -> AsyncIterator[tuple[Front, FakeTwilio]]:
    """Reminders and a provider that reach each other, and many courses, each with a text that is due."""
    port = free_port()
    async with AsyncExitStack() as stack:
        twilio = await stack.enter_async_context(FakeTwilio())
        public = {"public_url": f"http://127.0.0.1:{port}"}
        front = await stack.enter_async_context(open_front(reminders_url, tmp_path, **public))
        await stack.enter_async_context(served(front.app, port))
        limits = ClientTimeout(total=1)
        sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, NUMBERS, twilio.url, public["public_url"], limits)
        stack.push_async_callback(sender.close)
        front.rig.dispatch = front.rig.dispatcher(sender)
        await front.rig.hear(contact_updated())
        for n in range(1, COURSES + 1):
            session = course_accepted(1).sessions[0].model_copy(update={"session_id": UUID(int=n)})
            course = {"course_id": UUID(int=1000 + n)}
            await front.rig.hear(
                course_accepted(1).model_copy(update=course | {"sessions": (session,)}),
                session_confirmed().model_copy(update=course | {"session_id": UUID(int=n)}),
            )
        yield front, twilio


async def became(front: Front) -> Counter[str]:
    """How many of the texts that were handed over stand in which state."""
    found = await front.rows("SELECT state FROM texts WHERE attempt_id IS NOT NULL")
    return Counter(row["state"] for row in found)


@pytest.mark.parametrize("mood", [Mood.ACCEPT, Mood.HANG, Mood.RESET, Mood.ERROR, Mood.CUT])
async def test_every_text_is_taken_once_and_settled_by_reports_in_any_order(
    trip: tuple[Front, FakeTwilio], mood: Mood
) -> None:
    front, twilio = trip
    twilio.mood = mood
    await front.send()
    assert await became(front) == {"sent" if mood is Mood.ACCEPT else "unknown": COURSES}

    for sid, message in list(twilio.messages.items()):
        statuses = ["queued", "sending", "sent", "delivered"] * 2
        Random(7).shuffle(statuses)
        await twilio.report(sid, *statuses)
        message["status"] = "delivered"

    assert twilio.calls == len(twilio.taken) == COURSES
    assert await became(front) == {"delivered": COURSES}
    for type in ("text.sent", "text.delivered"):
        assert sorted(data["course_id"] for data in await front.told(type)) == [
            str(UUID(int=1000 + n)) for n in range(1, COURSES + 1)
        ]
    await front.send()
    assert twilio.calls == COURSES


async def test_an_opt_out_that_only_the_provider_knows_ends_all_texts(trip: tuple[Front, FakeTwilio]) -> None:
    front, twilio = trip
    twilio.mood = Mood.OPTED_OUT
    await front.send()

    assert twilio.taken == []
    assert (await front.told("consent.changed"))[-1]["allowed"] is False
    assert await became(front) == {"failed": twilio.calls}
    assert twilio.calls <= COURSES
