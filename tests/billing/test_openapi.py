"""Billing does what its OpenAPI document says, whatever is sent to it, and the document's examples are right."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from services.billing.http.shapes import COURSE_ID, SESSION_ID
from tests.facts.booking import at_albany, course_accepted, session_completed
from tests.facts.clinic import patient_updated, payment_captured
from tests.facts.course import NOW
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_rig import Billing, running
from tests.stand_ins.callers import key_of, keys_file
from tests.stand_ins.openapi import CHECKS, bounded, lacking_examples, name_known, operations

OWN: Final = ("/v1/",)

KNOWN: Final = {"course_id": COURSE_ID, "session_id": SESSION_ID}
"""What is there."""

ROLES: Final = {"refunds": "biller", "waiver": "biller"}


def role_for(path: str) -> str:
    """Who may go there, and do what is to be done there."""
    return next((role for part, role in ROLES.items() if part in path), "till")


@pytest.fixture
async def billing(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Billing]:
    """Billing with the course of the examples: paid in part, its first session given."""
    async with running(databases["billing"], keys_file(tmp_path), on_a_socket=True) as service:
        ids = {"course_id": UUID(COURSE_ID), "session_id": UUID(SESSION_ID), "provider": "provider-1"}
        first, second = (
            session.model_copy(update={"provider": "provider-1"}) for session in course_accepted(2).sessions
        )
        sessions = (first.model_copy(update={"session_id": UUID(SESSION_ID)}), second)
        course = at_albany(2, course_id=UUID(COURSE_ID), sessions=sessions)
        robin = patient_updated(name="Robin", born_on=date(1980, 2, 29))
        await service.hear(robin, course, payment_captured(PRICE + 5000, "till-1", course_id=UUID(COURSE_ID)))
        await service.until(NOW)
        await service.hear(session_completed(1, **ids))
        await service.until(NOW)
        yield service


def exercise(schema: Any) -> dict[int, int]:
    """Send everything; how often each status was answered."""
    seen: dict[int, int] = {}

    def send(case: Any, known: bool, mode: GenerationMode) -> None:
        if known and mode is GenerationMode.POSITIVE:  # or what is bad in an id would be made good
            name_known(case, KNOWN | {"id": COURSE_ID if "estimates" in case.path else SESSION_ID})
        answer = case.call(headers={"Authorization": f"Bearer {key_of(role_for(case.path))}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    for result in schema.include(path_regex="^/v1/").get_all_operations():
        for mode in GenerationMode:
            cases = result.ok().as_strategy(generation_mode=mode)
            bounded(25)(given(case=cases, known=st.booleans(), mode=st.just(mode))(send))()
    return seen


async def test_whatever_is_sent_is_answered_as_the_document_says(billing: Billing) -> None:
    document = billing.app.openapi()
    for _, operation in operations(document, *OWN):
        del operation["security"]  # every request here brings its key
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=str(billing.client.base_url))
    seen = await asyncio.to_thread(exercise, schema)
    assert {200, 201, 404, 409, 422} <= set(seen)
    assert await billing.query("SELECT 1 FROM dead_letters") == []


def test_every_route_has_an_example_of_what_it_takes_and_gives(billing: Billing) -> None:
    document = billing.app.openapi()
    assert lacking_examples(document, *OWN) == []
    for _, operation in operations(document, *OWN):
        assert operation["summary"]
        assert operation["description"]
        assert operation["security"]


async def test_the_examples_can_be_sent_as_they_stand(billing: Billing) -> None:
    answers: dict[str, list[int]] = {}
    for name, operation in operations(billing.app.openapi(), *OWN):
        path = name.split()[1]
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["schema"]["examples"][0])
        role = role_for(path)
        bodies = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
        for example, body in bodies.items():
            answer = await billing.post(body["value"], f"{name} {example}", role, path)
            answers.setdefault(name, []).append(answer.status_code)
        if not bodies:
            answers[name] = [(await billing.get(path, role)).status_code]
    assert answers == {
        "GET /v1/courses/{course_id}/account": [200],
        "POST /v1/payments": [201],
        "POST /v1/courses/{course_id}/refunds": [201, 409, 409],
        "POST /v1/sessions/{session_id}/waiver": [409],
        "GET /v1/estimates/{id}": [200],
        "GET /v1/superbills/{id}": [200],
        "GET /v1/receipts/{id}": [200],
    }
