"""What the Twilio SDK makes of every way in which a provider can answer, or not."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import ClientTimeout

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Mood
from services.reminders.sending.sender import ConsoleSender
from services.reminders.sending.twilio import TwilioSender
from services.reminders.text.provider import Accepted, Outcome, OutgoingText, Refused, Unknown, Unsent
from shared.contract.closed_sets import TextKind
from tests.reminders_story import MONDAY, PHONE

SENDER = "+15550100001"
TEXT = OutgoingText(
    text_id=UUID(int=1),
    attempt_id=UUID(int=2),
    clinic="stella",
    kind=TextKind.DAY_OF,
    to=PHONE,
    body="Stella: see you today at 9:00 AM.",
    segments=1,
    at=MONDAY,
    valid_for=timedelta(minutes=90),
)


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        yield fake


async def send(url: str, limits: ClientTimeout | None = None) -> Outcome:
    sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, {"stella": SENDER}, url, "https://texts.example/", limits)
    try:
        return await sender.send(TEXT)
    finally:
        await sender.close()
        gc.collect()  # a connection left open would warn here


async def test_an_accepted_text_brings_the_providers_id(twilio: FakeTwilio) -> None:
    assert await send(twilio.url) == Accepted("SM" + "0" * 31 + "1")
    assert twilio.taken == [
        {
            "To": PHONE,
            "From": SENDER,
            "Body": TEXT.body,
            "ValidityPeriod": "5400",
            "StatusCallback": f"https://texts.example/webhooks/twilio/status?attempt={TEXT.attempt_id}",
        }
    ]


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        (Mood.OPTED_OUT, Refused("21610")),
        (Mood.BUSY, Unsent("20429")),
        (Mood.RESET, Unknown("ServerDisconnectedError")),
        (Mood.ERROR, Unknown("20500")),
        (Mood.CUT, Unknown("JSONDecodeError")),
    ],
)
async def test_each_answer_is_proof_or_is_not(twilio: FakeTwilio, mood: Mood, outcome: Outcome) -> None:
    twilio.mood = mood

    assert await send(twilio.url) == outcome


async def test_an_answer_that_never_comes_is_unknown(twilio: FakeTwilio) -> None:
    twilio.mood = Mood.HANG

    outcome = await send(twilio.url, ClientTimeout(total=0.2))

    assert isinstance(outcome, Unknown)
    assert len(twilio.taken) == 1


async def test_a_refused_connection_is_proof_that_nothing_was_sent() -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    assert isinstance(await send(f"http://127.0.0.1:{port}"), Unsent)


async def test_a_connection_that_does_not_come_about_is_proof_that_nothing_was_sent(twilio: FakeTwilio) -> None:
    silent = twilio.url.replace("http:", "https:")  # it never answers the greeting

    assert isinstance(await send(silent, ClientTimeout(total=5, connect=0.2)), Unsent)
    assert twilio.taken == []


async def test_a_wrong_token_is_final(twilio: FakeTwilio) -> None:
    sender = TwilioSender(ACCOUNT_SID, "another token", {"stella": SENDER}, twilio.url)

    assert await sender.send(TEXT) == Refused("20003")
    await sender.close()


async def test_the_console_shows_each_text_once() -> None:
    shown: list[OutgoingText] = []
    sender = ConsoleSender(shown.append)

    assert await sender.send(TEXT) == Accepted(f"SM{TEXT.attempt_id.hex}")
    assert shown == [TEXT]
