"""Reminders does what its OpenAPI document says, whatever is sent to it, and the document's examples are right."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.databases import provision
from services.reminders.answers import CONTACT_ID
from tests.reminders_front import Front, key_of, open_front, served, sid
from tests.reminders_story import COURSE_ID, PATIENT

BOUNDED: Final = settings(
    derandomize=True, max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
"""The same each time, good and bad ones of each operation."""

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
KNOWN: Final = {"course_id": str(COURSE_ID), "contact_id": PATIENT, "clinic": "stella", "sid": sid(1)}
"""What is there; with invented ids alone, nothing but 404 would be seen."""


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_texts_openapi")["reminders"]


@pytest.fixture
async def front(reminders_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(reminders_url, tmp_path) as front:
        await front.rig.planned()
        await front.send()
        await front.write("what?")
        yield front


def exercise(schema: Any) -> dict[int, int]:
    """Send everything; how often each status was answered."""
    seen: dict[int, int] = {}

    def send(case: Any, known: bool) -> None:
        if known:
            for place in (case.path_parameters, case.query, case.body):
                if isinstance(place, dict):
                    place.update({name: value for name, value in KNOWN.items() if name in place})
        answer = case.call(headers={"Authorization": f"Bearer {key_of('operator')}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    for result in schema.include(path_regex="^/(v1|webhooks)/").get_all_operations():
        for mode in GenerationMode:
            known = st.booleans() if mode is GenerationMode.POSITIVE else st.just(False)  # or it would be put right
            BOUNDED(given(case=result.ok().as_strategy(generation_mode=mode), known=known)(send))()
    return seen


async def test_whatever_is_sent_is_answered_as_the_document_says(front: Front) -> None:
    schema = schemathesis.openapi.from_dict(front.app.openapi())
    async with served(front.app) as address:
        schema.config.update(base_url=address)
        seen = await asyncio.to_thread(exercise, schema)

    assert {200, 403, 404, 422} <= set(seen)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Method and path, and what the document says of it, of reminders' own routes."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith(("/v1/", "/webhooks/")):
                yield f"{method.upper()} {path}", operation


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """A schema, or what it refers to; of a list its items."""
    schema = schema.get("items", schema)
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


async def test_every_route_has_an_example_of_what_it_takes_and_gives(front: Front) -> None:
    document = front.app.openapi()
    lacking = []
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if not (parameter.get("examples") or parameter["schema"].get("examples")):
                lacking.append(f"{name}: {parameter['name']}")
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if not content.get("examples"):
                lacking.append(f"{name}: {kind}")
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items() if status < "300" else ():
                if kind == "application/json" and not resolved(content["schema"], document).get("examples"):
                    lacking.append(f"{name}: {status}")
        assert operation["summary"]
        assert operation["description"]
        assert ("security" in operation) is name.partition(" ")[2].startswith("/v1/")
    assert lacking == []


async def test_the_examples_can_be_sent_as_they_stand(front: Front) -> None:
    sent = 0
    for name, operation in operations(front.app.openapi()):
        method, _, path = name.partition(" ")
        contents = operation.get("requestBody", {}).get("content", {})
        for kind, content in contents.items():
            for example in content["examples"].values():
                if kind == "application/json":
                    known = {**example["value"]} | ({"contact_id": PATIENT} if "contact_id" in example["value"] else {})
                    answer = await front.post(path.replace("{contact_id}", PATIENT), known)
                    assert answer.status_code == 200, (name, answer.text)
                else:
                    answer = await front.webhook(path, example["value"])
                    assert answer.status_code < 300, (name, answer.text)
                assert method == "POST"
                sent += 1
    assert sent >= 10
    assert CONTACT_ID != PATIENT
