"""What the Twilio SDK makes of every way in which a provider can answer, or not."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientTimeout

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Mood
from services.reminders.sending.twilio import TwilioSender, outcome_from_answer
from services.reminders.text.provider import Accepted, Barred, Outcome, ProviderRefused, Unknown, Unsent
from tests.facts.course import PHONE
from tests.stand_ins.outgoing_text import TEXT

RETRIED = [(429, 20429), (429, None), (400, 21611), (400, 30001), (400, 30022), (400, 30003), (400, 30008)]
FINAL = [(400, 21610), (400, 21211), (400, 21614), (400, 21635), (400, 30006), (400, 21408), (400, 30007),
         (400, 30034), (403, 21408), (400, None)]  # fmt: skip
OF_THE_ACCOUNT = [(401, 20003), (401, None), (400, 20003), (403, 20005), (403, None), (403, 20403), (402, None),
                  (404, 20404), (404, None), (405, 20004), (400, 30002)]  # fmt: skip
OF_THE_NUMBER = [(400, 21212), (400, 21603), (400, 21606), (400, 21659), (400, 21660), (403, 21606)]
NOBODY_KNOWS = [(500, 20500), (502, None), (503, 20503), (504, None), (302, None)]


@pytest.mark.parametrize(("status", "code"), RETRIED)
def test_what_passes_is_tried_again(status: int, code: int | None) -> None:
    assert outcome_from_answer(status, code) == Unsent(str(code or status))


@pytest.mark.parametrize(("status", "code"), FINAL)
def test_a_refusal_is_final(status: int, code: int | None) -> None:
    assert outcome_from_answer(status, code) == ProviderRefused(str(code or status))


@pytest.mark.parametrize(("status", "code"), OF_THE_ACCOUNT)
def test_a_refusal_of_the_account_is_no_texts(status: int, code: int | None) -> None:
    assert outcome_from_answer(status, code) == Barred(str(code or status))


@pytest.mark.parametrize(("status", "code"), OF_THE_NUMBER)
def test_a_refusal_of_the_clinics_number_is_no_texts(status: int, code: int) -> None:
    assert outcome_from_answer(status, code) == Barred(str(code), number=True)


@pytest.mark.parametrize(("status", "code"), NOBODY_KNOWS)
def test_what_nobody_can_know_is_never_tried_again(status: int, code: int | None) -> None:
    assert outcome_from_answer(status, code) == Unknown(str(code or status))


SENDER = "+15550100001"


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
        (Mood.OPTED_OUT, ProviderRefused("21610")),
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

    assert await sender.send(TEXT) == Barred("20003")
    await sender.close()
