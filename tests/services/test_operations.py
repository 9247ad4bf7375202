"""What an operator reads over HTTP of one course, one letter, and how far a service has come: on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.booking_desk import Desk, desk, wish
from tests.booking_story import COURSE, session_id
from tests.callers import keys_file
from tests.openapi import lacking_examples
from tests.road import raw

STORY = f"/ops/courses/{COURSE}/story"


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened


async def test_the_story_of_a_course_tells_states_in_order_and_nothing_of_its_patient(booking: Desk) -> None:
    assert (await booking.get(STORY, role="operator")).status_code == 404
    await booking.post("/v1/courses", wish(2))
    await booking.post(f"/v1/sessions/{session_id(1)}/cancel", {"by": "patient"})
    answer = await booking.get(STORY, role="operator")
    told = answer.json()
    assert [event["type"] for event in told["events"]] == [
        "booking.course.accepted.v1",
        "booking.session.cancelled.v1",
    ]
    sessions = told["events"][0]["data"]["sessions"]
    assert [(session["number"], session["state"]) for session in sessions] == [(1, "held"), (2, "held")]
    assert told["events"][1]["data"]["by"] == "patient"
    assert told["events"][1]["published_at"] is None
    for private in ("patient-1", "patient_id", "ketamine", "chair"):
        assert private not in answer.text
    assert (told["dead_letters"], told["attention"]) == ([], [])


async def test_a_letter_shows_its_place_and_attributes_but_neither_its_bytes_nor_headers_that_nobody_knows(
    booking: Desk,
) -> None:
    garbage = raw("clinic.requests", b"Robin Example", [("ce_id", b"a"), ("x-name", b"Robin")], at=booking.clock.now())
    await booking.service.worker.on_records([garbage])
    (letter,) = (await booking.get("/ops/dead-letters", role="operator")).json()
    answer = await booking.get(f"/ops/dead-letters/{letter['id']}", role="operator")
    shown = answer.json()
    assert (shown["kind"], shown["status"], shown["value_bytes"], shown["behind"]) == ("unreadable", "open", 13, 0)
    assert (shown["topic"], shown["partition"], shown["kafka_offset"]) == garbage[:3]
    assert shown["headers"] == [["ce_id", "a"], ["x-name", None]]
    assert "Robin" not in answer.text
    assert (await booking.get("/ops/dead-letters/99", role="operator")).status_code == 404


async def test_how_far_it_has_heard_is_told_by_partition(booking: Desk) -> None:
    assert (await booking.get("/ops/heard", role="operator")).json() == []
    await booking.service.worker.pass_over({("clinic.requests", 2): 17, ("billing.events", 0): 4})
    assert (await booking.get("/ops/heard", role="operator")).json() == [
        {"topic": "billing.events", "partition": 0, "next_offset": 4},
        {"topic": "clinic.requests", "partition": 2, "next_offset": 17},
    ]


async def test_what_is_read_here_has_examples(booking: Desk) -> None:
    document = booking.app.openapi()
    reads = ("/ops/courses/{course_id}/story", "/ops/heard", "/ops/dead-letters/{id}")
    only = document | {"paths": {path: {"get": document["paths"][path]["get"]} for path in reads}}
    assert lacking_examples(only, "/ops/") == []
