"""Reminders does what its OpenAPI document says, whatever is sent to it, and the document's examples are right."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode

from services.reminders.http.shapes import CONTACT_ID
from tests.facts.course import COURSE, PATIENT
from tests.stand_ins.callers import key_of, served
from tests.stand_ins.openapi import CHECKS, bounded, lacking_examples, name_known, operations
from tests.stand_ins.reminders_front import Front, open_front, sid

OWN: Final = ("/v1/", "/webhooks/")

KNOWN: Final = {"course_id": str(COURSE), "contact_id": PATIENT, "clinic": "stella", "sid": sid(1)}
"""What is there."""


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
            name_known(case, KNOWN)
        answer = case.call(headers={"Authorization": f"Bearer {key_of('operator')}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    for result in schema.include(path_regex="^/(v1|webhooks)/").get_all_operations():
        for mode in GenerationMode:
            known = st.booleans() if mode is GenerationMode.POSITIVE else st.just(False)  # or it would be put right
            bounded(20)(given(case=result.ok().as_strategy(generation_mode=mode), known=known)(send))()
    return seen


async def test_whatever_is_sent_is_answered_as_the_document_says(front: Front) -> None:
    schema = schemathesis.openapi.from_dict(front.app.openapi())
    async with served(front.app) as address:
        schema.config.update(base_url=address)
        seen = await asyncio.to_thread(exercise, schema)

    assert {200, 403, 404, 422} <= set(seen)


async def test_every_route_has_an_example_of_what_it_takes_and_gives(front: Front) -> None:
    document = front.app.openapi()
    assert lacking_examples(document, *OWN) == []
    for name, operation in operations(document, *OWN):
        assert operation["summary"]
        assert operation["description"]
        assert ("security" in operation) is name.partition(" ")[2].startswith("/v1/")


async def test_the_examples_can_be_sent_as_they_stand(front: Front) -> None:
    sent = 0
    for name, operation in operations(front.app.openapi(), *OWN):
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
