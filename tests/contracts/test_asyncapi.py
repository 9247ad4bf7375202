"""The AsyncAPI documents: what the code says, whole, with examples that our own services read.

The official parser reads them in `tests/compose`.
"""

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from fastapi import FastAPI
from justhtml import JustHTML

from services.billing import main as billing
from services.billing.settings import BillingSettings
from services.booking import main as booking
from services.booking.settings import BookingSettings
from services.reminders import main as reminders
from services.reminders.settings import RemindersSettings
from shared.contract.register import EVENTS
from shared.contract.topics import ERASABLE, SERVICE_TOPICS
from shared.decision.clock import Clock
from shared.decision.message import Record
from shared.http import asyncapi
from shared.kafka.envelope import read
from tests.facts.course import NOW
from tests.stand_ins.asyncapi import DOCUMENTS
from tests.stand_ins.callers import keys_file
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.road import SetClock

SERVICES = sorted(DOCUMENTS)
MESSAGES = [
    pytest.param(service, name, id=f"{service} {name}")
    for service in SERVICES
    for name in DOCUMENTS[service]["components"]["messages"]
    if name in EVENTS
]


def operations(service: str, action: str) -> dict[str, set[str]]:
    """The names of the messages by topic."""
    return {
        operation["channel"]["$ref"].removeprefix("#/channels/"): {
            message["$ref"].rpartition("/")[2] for message in operation["messages"]
        }
        for operation in DOCUMENTS[service]["operations"].values()
        if operation["action"] == action
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_tells_every_type_of_its_topic_and_its_dead_letters(service: str) -> None:
    own = f"{service}.events"
    types = {name for name, model in EVENTS.items() if model.topic == own}
    assert operations(service, "send") == {own: types, f"{service}.dead-letters": {"dead-letter"}}


def test_every_type_that_clinics_write_is_heard_and_erasure_where_it_is_legal() -> None:
    heard = [operations(service, "receive") for service in SERVICES]
    for name, model in EVENTS.items():
        if model.topic not in SERVICE_TOPICS:
            assert any(name in one.get(model.topic, ()) for one in heard), name
    for one in heard:
        assert {topic for topic, names in one.items() if asyncapi.ERASED in names} == one.keys() & ERASABLE.keys()
    assert "reminders.reply.received.v1" in operations("booking", "receive")["reminders.events"], "notes are heard"


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere(service: str) -> None:
    def follow(part: Any) -> None:
        if isinstance(part, list):
            for one in part:
                follow(one)
        elif isinstance(part, dict):
            if "$ref" in part:
                found = DOCUMENTS[service]
                for step in part["$ref"].removeprefix("#/").split("/"):
                    found = found[step]
            for one in part.values():
                follow(one)

    follow(DOCUMENTS[service])


@pytest.mark.parametrize(("service", "name"), MESSAGES)
def test_an_example_is_what_the_schemas_say_and_our_services_read_it(service: str, name: str) -> None:
    document = DOCUMENTS[service]
    message = document["components"]["messages"][name]
    (example,) = message["examples"]
    for what, schema in (("payload", message["payload"]), ("headers", message["headers"])):
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.validate(whole, example[what], validate_formats=True)
    (key,) = message["bindings"]["kafka"]["key"]["examples"]
    headers = tuple((header, value.encode()) for header, value in example["headers"].items())
    record = Record(EVENTS[name].topic, 0, 0, 0, key.encode(), json.dumps(example["payload"]).encode(), headers)
    heard = read(record, NOW)
    assert (heard.type, heard.id, heard.traceparent) == (
        name,
        example["headers"]["ce_id"],
        example["headers"]["ce_traceparent"],
    )
    assert set(example["payload"]) >= {n for n, f in EVENTS[name].model_fields.items() if f.is_required()}


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_tells_everything_and_loads_nothing(service: str) -> None:
    page = asyncapi.page(DOCUMENTS[service])
    for name in DOCUMENTS[service]["components"]["messages"]:
        assert f"<code>{name}</code>" in page
    for foreign in ("<script", "src=", "href=", "url(", "@import", "http://", "<link"):
        assert foreign not in page


@pytest.mark.parametrize(
    ("name", "build", "settings"),
    [
        ("billing", billing.build, BillingSettings),
        ("booking", booking.build, BookingSettings),
        ("reminders", reminders.build, RemindersSettings),
    ],
)
async def test_a_program_gets_the_document_and_a_browser_the_page_and_nobody_needs_a_key(
    name: str, build: Callable[[Any, Clock], FastAPI], settings: Callable[..., Any], tmp_path: Path
) -> None:
    away = {"kafka": "127.0.0.1:1", f"{name}_database": f"postgresql://{name}@127.0.0.1:1/{name}"}
    app = build(settings(profiles=CLINICS, api_keys=keys_file(tmp_path), **away), SetClock(NOW))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.state.service.stop)
        transport = httpx2.ASGITransport(app=app)
        client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=f"http://{name}"))
        for asked in ("*/*", "application/json"):
            given = await client.get("/asyncapi", headers={"Accept": asked})
            assert (given.status_code, given.headers["content-type"]) == (200, "application/json")
            assert given.json() == DOCUMENTS[name]
        shown = await client.get("/asyncapi", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert shown.headers["content-type"].startswith("text/html")
    assert shown.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    JustHTML(shown.text, strict=True)
