"""What the front desk can ask about texts and consent."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from deploy.databases import provision
from services.reminders.main import build
from services.reminders.settings import RemindersSettings
from shared.clock import SteppedClock
from shared.contract import SessionConfirmed, SessionState
from shared.envelope import Message
from shared.service import Service
from shared.settings import Misconfigured, read_settings
from tests.reminders_story import COURSE_ID, MONDAY, PATIENT, PHONE, PROFILES, accepted, contact, message, session_event

KEY = "a key of the front desk"


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_texts_api")["reminders"]


@pytest.fixture
async def desk(reminders_url: str, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a key, of a service that has heard of one confirmed session."""
    keys = tmp_path / "keys.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys.write_text(f'[[keys]]\nname = "desk"\nsha256 = "{digest}"\nroles = ["front_desk"]\n')
    settings = read_settings(
        RemindersSettings, kafka="127.0.0.1:1", reminders_database=reminders_url, profiles=PROFILES, api_keys=keys
    )
    app = build(settings, SteppedClock(MONDAY))
    service: Service[Any, Any] = app.state.service
    confirmed = session_event(SessionConfirmed, 1, SessionState.CONFIRMED, 2, grant=1)
    for event in (contact(), accepted(1), confirmed):
        told: Message = message(event, MONDAY, id=str(uuid4()))
        await service.worker.submit(told)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://reminders", headers={"Authorization": f"Bearer {KEY}"}
    ) as client:
        yield client
    await service.stop()


async def test_texts_are_shown_with_the_wording_that_they_would_have(desk: httpx2.AsyncClient) -> None:
    answer = await desk.get("/v1/texts", params={"course_id": str(COURSE_ID)})

    assert answer.status_code == 200
    texts = answer.json()
    assert [text["kind"] for text in texts] == ["booked", "preparation", "day_before", "day_of"]
    assert {text["state"] for text in texts} == {"scheduled"}
    assert texts[3]["body"].startswith("Stella: see you on Mon Mar 16 at 10:00 AM.")
    assert PHONE not in answer.text


async def test_a_course_that_nobody_knows_has_no_texts(desk: httpx2.AsyncClient) -> None:
    assert (await desk.get("/v1/texts", params={"course_id": str(uuid4())})).status_code == 404
    assert (await desk.get("/v1/texts", params={"course_id": "no id"})).status_code == 422


async def test_consent_is_shown_with_its_ledger_and_without_the_number(desk: httpx2.AsyncClient) -> None:
    answer = await desk.get(f"/v1/contacts/{PATIENT}/consent")

    assert answer.json()["allowed"] is True
    (entry,) = answer.json()["entries"]
    assert (entry["wording"], entry["source"], entry["for_current_number"]) == ("form-1", "intake", True)
    assert PHONE not in answer.text
    assert (await desk.get("/v1/contacts/nobody/consent")).status_code == 404


@pytest.mark.parametrize("path", [f"/v1/texts?course_id={COURSE_ID}", f"/v1/contacts/{PATIENT}/consent"])
async def test_without_a_key_nothing_is_shown(desk: httpx2.AsyncClient, path: str) -> None:
    answer = await desk.get(path, headers={"Authorization": "Bearer wrong"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "CHAIRTIME_TWILIO_ACCOUNT_SID: is not set"),
        ({"twilio_account_sid": "AC1"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "short"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set or too"),
        (
            {"twilio_account_sid": "AC1", "twilio_auth_token": "x" * 32, "twilio_numbers": "albany=+15550100001"},
            "CHAIRTIME_TWILIO_NUMBERS: there is none for stabilization, stella",
        ),
        ({"twilio_numbers": "albany=5550100001"}, "CHAIRTIME_TWILIO_NUMBERS: the number of 'albany' is not E.164"),
        ({"sms": "pigeon"}, "CHAIRTIME_SMS: "),
    ],
)
async def test_sending_by_twilio_needs_all_its_settings(given: dict[str, Any], line: str) -> None:
    common = {"kafka": "x", "reminders_database": "postgresql:///x", "profiles": PROFILES, "sms": "twilio"}
    with pytest.raises(Misconfigured) as refusal:
        build(read_settings(RemindersSettings, **common | given), SteppedClock(MONDAY))

    assert str(refusal.value).startswith(line)
    assert "x" * 32 not in str(refusal.value)
