"""The stand-in for Twilio, and what the real SDK sends to it, against Twilio's own description of its API."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
from aiohttp import ClientSession, encode_basic_auth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from services.reminders.sending.twilio import TwilioSender
from services.reminders.text.provider import Accepted, OutgoingText
from shared.contract.closed_sets import TextKind
from tests.facts.course import NOW, PHONE

DESCRIPTION = json.loads((Path(__file__).parent / "twilio" / "messages.openapi.json").read_text())
for _uri in ("uri", "first_page_uri", "next_page_uri", "previous_page_uri"):  # in truth Twilio's are relative
    _list = DESCRIPTION["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]["responses"]["200"]
    del _list["content"]["application/json"]["schema"]["properties"][_uri]["format"]
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"


schemathesis.openapi.format("phone-number", st.sampled_from(["+13125550101", "+442071838750", "0123", "nobody"]))


def schema_of(part: Any) -> Any:
    """A part of the description as plain JSON Schema: references resolved, OpenAPI 3.0's `nullable` written out."""
    if isinstance(part, list):
        return [schema_of(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return schema_of(DESCRIPTION["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    plain = {name: schema_of(value) for name, value in part.items() if name not in ("nullable", "format")}
    if part.get("nullable") is True:
        plain["type"] = [plain["type"], "null"]
    return plain


MESSAGE = schema_of(DESCRIPTION["components"]["schemas"]["api.v2010.account.message"])


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        yield fake


async def send(fake: FakeTwilio) -> None:
    sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, {"stella": "+15550100001"}, fake.url, "https://texts.example")
    text = OutgoingText(
        text_id=UUID(int=1),
        attempt_id=UUID(int=2),
        clinic="stella",
        kind=TextKind.DAY_OF,
        to=PHONE,
        body="Stella: see you today at 9:00 AM.",
        segments=1,
        at=NOW,
        valid_for=timedelta(minutes=90),
    )
    assert isinstance(await sender.send(text), Accepted)
    await sender.close()


async def test_what_the_sdk_sends_is_what_twilio_describes(twilio: FakeTwilio) -> None:
    await send(twilio)

    (form,) = twilio.taken
    described = schema_of(DESCRIPTION["paths"][MESSAGES]["post"]["requestBody"])["content"]
    body = described["application/x-www-form-urlencoded"]["schema"]
    assert set(form) <= set(body["properties"])
    typed = {
        name: int(value) if body["properties"][name]["type"] == "integer" else value for name, value in form.items()
    }
    jsonschema_rs.validate(body, typed)


async def test_what_the_stand_in_tells_is_what_twilio_describes(twilio: FakeTwilio) -> None:
    await send(twilio)
    (sid,) = twilio.messages

    headers = {"Authorization": encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with ClientSession(twilio.url, headers=headers) as session:
        for path in (
            f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json",
            MESSAGES.format(AccountSid=ACCOUNT_SID),
        ):
            async with session.get(path) as answer:
                told = await answer.json()
            (message,) = told.get("messages", [told])
            jsonschema_rs.validate(MESSAGE, message)
            assert set(message) == set(MESSAGE["properties"])  # not one that Twilio has is missing
        pages = schema_of(DESCRIPTION["paths"][MESSAGES]["get"]["responses"]["200"])["content"]["application/json"][
            "schema"
        ]
        jsonschema_rs.validate(pages, told)
        assert set(told) == set(pages["properties"])


@pytest.mark.parametrize("operation", ["CreateMessage", "ListMessage", "FetchMessage"])
async def test_the_stand_in_takes_whatever_the_description_allows(twilio: FakeTwilio, operation: str) -> None:
    await send(twilio)
    (sid,) = twilio.messages
    described = schemathesis.openapi.from_dict(DESCRIPTION).include(operation_id=operation)
    (found,) = (result.ok() for result in described.get_all_operations())
    place = {"AccountSid": ACCOUNT_SID} | ({"Sid": sid} if operation == "FetchMessage" else {})
    statuses: set[int] = set()

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=found.as_strategy(path_parameters=place))
    def call(case: schemathesis.Case) -> None:
        answer = case.call(base_url=twilio.url, auth=(ACCOUNT_SID, AUTH_TOKEN))
        statuses.add(answer.status_code)
        if answer.status_code != 400:  # Twilio's own rules beyond its description, such as a sender or a text
            case.validate_response(answer, checks=[status_code_conformance, response_schema_conformance])

    await asyncio.to_thread(call)
    assert min(statuses) < 300
