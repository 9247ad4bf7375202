"""Booking does what its OpenAPI document says, whatever is sent to it, and the document's examples are right."""

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection

from services.booking.http.shapes import COURSE_ID, EXAMPLES, SESSION_ID
from tests.facts.course import start
from tests.stand_ins.booking_desk import desk, wish
from tests.stand_ins.callers import key_of, keys_file
from tests.stand_ins.openapi import AS_DOCUMENTED, bounded, lacking_examples, name_known, operations

OWN: Final = ("/v1/",)

KNOWN: Final = {
    "course_id": COURSE_ID,
    "session_id": SESSION_ID,
    "location": "stella",
    "treatment": "ketamine_induction",
}
"""What is there."""


def exercise(schema: Any, role_of: Any) -> dict[int, int]:
    """Send everything; how often each status was answered."""
    seen: dict[int, int] = {}

    def send(case: Any, known: bool) -> None:
        if known:
            name_known(case, KNOWN)
        answer = case.call(headers={"Authorization": f"Bearer {key_of(role_of(case.path))}"}, timeout=60)
        own = case.path.startswith("/v1/")
        as_sent = [] if known else [negative_data_rejection]  # what is known may have mended what was meant to be wrong
        case.validate_response(answer, checks=AS_DOCUMENTED + as_sent if own else [not_a_server_error])
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    for result in schema.include(path_regex="^/(v1|ops)/").get_all_operations():
        for mode in GenerationMode:
            bounded(15)(given(case=result.ok().as_strategy(generation_mode=mode), known=st.booleans())(send))()
    return seen


@pytest.mark.timeout(300)
async def test_whatever_is_sent_is_answered_as_the_document_says(databases: dict[str, str], tmp_path: Path) -> None:
    async with desk(databases["booking"], keys_file(tmp_path), on_a_socket=True) as booking:
        sessions = [{"session_id": SESSION_ID, "starts_at": start(1).isoformat()}]
        assert (await booking.post("/v1/courses", wish(course=UUID(COURSE_ID), sessions=sessions))).status_code == 201
        schema = schemathesis.openapi.from_dict(booking.app.openapi())
        schema.config.update(base_url=str(booking.client.base_url))

        def role_of(path: str) -> str:
            return "operator" if path.startswith("/ops/") or path.startswith("/v1/locations/") else "front_desk"

        seen = await asyncio.to_thread(exercise, schema, role_of)
    assert {200, 404, 409, 422} <= set(seen)


async def test_every_route_has_an_example_of_what_it_takes_and_gives(databases: dict[str, str], tmp_path: Path) -> None:
    async with desk(databases["booking"], keys_file(tmp_path)) as booking:
        document = booking.app.openapi()
    assert lacking_examples(document, *OWN) == []
    for name, operation in operations(document, *OWN):
        assert operation["summary"]
        assert operation["description"]
        assert operation.get("security") or "/calendars/" in name


async def test_the_document_says_that_unknown_fields_are_refused(databases: dict[str, str], tmp_path: Path) -> None:
    async with desk(databases["booking"], keys_file(tmp_path)) as booking:
        document = booking.app.openapi()
    wish = document["paths"]["/v1/courses"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert wish["additionalProperties"] is False
    assert wish["properties"]["sessions"]["anyOf"][0]["items"]["additionalProperties"] is False
    for example in EXAMPLES["request"].values():
        assert jsonschema_rs.is_valid(wish, example)
        assert not jsonschema_rs.is_valid(wish, example | {"name": "x"})


async def test_the_examples_can_be_sent_as_they_stand(databases: dict[str, str], tmp_path: Path) -> None:
    async with desk(databases["booking"], keys_file(tmp_path)) as booking:
        document = booking.app.openapi()
        sent = 0
        for name, operation in operations(document, *OWN):
            method, _, path = name.partition(" ")
            query = {}
            for parameter in operation.get("parameters", ()):
                example = parameter["schema"]["examples"][0]
                path = path.replace(f"{{{parameter['name']}}}", str(example))
                if parameter["in"] == "query":
                    query[parameter["name"]] = example
            role = "operator" if "/locations/" in path else "front_desk"
            bodies = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
            for example in bodies.values() or [{"value": None}]:
                url = f"{path}?{urlencode(query)}" if query else path
                answer = await booking.post(url, example["value"], role=role, method=method)
                assert answer.status_code not in (400, 422), (name, answer.text)
                sent += 1
        assert sent > 12
        assert [row.state for row in await booking.rows("SELECT state FROM sessions")]
