"""What reminders must be told before it sends."""

from typing import Any

import pytest

from services.reminders.main import build
from services.reminders.settings import RemindersSettings
from shared.configuration.settings import Misconfigured, read_settings
from shared.decision.clock import SteppedClock
from tests.facts.course import NOW
from tests.stand_ins.reminders_story import PROFILES


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "CHAIRTIME_TWILIO_ACCOUNT_SID: is not set"),
        ({"twilio_account_sid": "AC1"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "short"}, "CHAIRTIME_TWILIO_AUTH_TOKEN: is not set or too"),
        ({"twilio_account_sid": "AC1", "twilio_auth_token": "x" * 32}, "CHAIRTIME_PUBLIC_URL: is not set"),
        (
            {
                "twilio_account_sid": "AC1",
                "twilio_auth_token": "x" * 32,
                "twilio_numbers": "albany=+15550100001",
                "public_url": "https://texts.example",
            },
            "CHAIRTIME_TWILIO_NUMBERS: there is none for stabilization, stella, sturges",
        ),
        ({"twilio_numbers": "albany=5550100001"}, "CHAIRTIME_TWILIO_NUMBERS: the number of 'albany' is not E.164"),
        ({"sms": "pigeon"}, "CHAIRTIME_SMS: "),
    ],
)
async def test_sending_by_twilio_needs_all_its_settings(given: dict[str, Any], line: str) -> None:
    common = {"kafka": "x", "reminders_database": "postgresql:///x", "profiles": PROFILES, "sms": "twilio"}
    with pytest.raises(Misconfigured) as refusal:
        build(read_settings(RemindersSettings, **common | given), SteppedClock(NOW))

    assert str(refusal.value).startswith(line)
    assert "x" * 32 not in str(refusal.value)
