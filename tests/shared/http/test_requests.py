"""Bodies that are too large or no JSON, and keys of idempotency: a request has one effect and one answer."""

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from shared.http.requests import MAX_BODY, READ_ON
from shared.postgres.query import run
from tests.facts.course import COURSE, HOUR, OTHER, session_id, start
from tests.stand_ins.booking_desk import (
    COURSE_PATH,
    COURSES,
    HERE,
    SESSION_PATH,
    Desk,
    desk,
    wish,
)
from tests.stand_ins.callers import SECOND_DESK, key_of, keys_file


async def test_a_body_that_is_too_large_is_refused_and_its_sender_reads_why(
    databases: dict[str, str], tmp_path: Path
) -> None:
    async with desk(databases["booking"], keys_file(tmp_path), on_a_socket=True) as booking:

        def send(size: int) -> tuple[int, str]:
            """As a plain client does, which reads no answer before it has sent all."""
            headers = {"Authorization": f"Bearer {key_of('front_desk')}", "Idempotency-Key": "k"}
            request = urllib.request.Request(f"{booking.client.base_url}{COURSES}", b" " * size, headers)
            with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(request, timeout=30):
                pass
            with refusal.value as answer:
                return answer.code, json.loads(answer.read())["title"]

        for size in (MAX_BODY + 1, 5_000_000, READ_ON * MAX_BODY):
            assert await asyncio.to_thread(send, size) == (413, "too_large")


NO_JSON: Final = {
    "UTF-16": json.dumps({"by": "patient"}).encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"by": "patient"}',
    "half a surrogate pair": b'{"by": "\\ud800"}',
    "an integer of 6000 digits": b'{"by": ' + b"9" * 6000 + b"}",
    "a tail": b'{"by": "patient"} x',
}


@pytest.mark.parametrize("path", [COURSES, f"{COURSE_PATH}/cancel"], ids=["whole", "with a field in the URL"])
@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_not_json_in_utf_8_is_told_so_and_only_to_somebody_with_a_key(
    booking: Desk, path: str, body: bytes
) -> None:
    await booking.post(COURSES, wish())
    answer = await booking.post(path, body)
    assert (answer.status_code, answer.json()["title"]) == (400, "not_json")
    assert (await booking.client.post(path, content=body)).status_code == 401


async def test_a_body_is_read_as_json_whatever_it_is_called(booking: Desk) -> None:
    for course, media_type in ((COURSE, "application/x-www-form-urlencoded"), (OTHER, "text/plain")):
        headers = {"Authorization": f"Bearer {key_of('front_desk')}", "Idempotency-Key": media_type}
        body = json.dumps(wish(course=course))
        answer = await booking.client.post(COURSES, content=body, headers=headers | {"Content-Type": media_type})
        assert answer.status_code == 201, answer.text


async def test_a_request_without_an_idempotency_key_is_refused(booking: Desk) -> None:
    headers = {"Authorization": f"Bearer {key_of('front_desk')}"}
    for path, body in ((COURSES, wish()), (f"{COURSE_PATH}/cancel", {"by": "patient"}), (f"{SESSION_PATH}/miss", HERE)):
        answer = await booking.client.post(path, json=body, headers=headers)
        assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (400, True)
    assert not await booking.rows("SELECT 1 FROM inbox")


async def test_a_key_with_another_body_is_refused_and_the_first_answer_stands(booking: Desk) -> None:
    first = await booking.post(COURSES, wish(), key="k")
    other = await booking.post(COURSES, wish(2), key="k")
    assert (other.status_code, other.json()["title"]) == (422, "idempotency_key_reused")
    assert (await booking.post(COURSES, wish(), key="k")).json() == first.json()


async def test_a_key_belongs_to_its_caller(booking: Desk) -> None:
    assert (await booking.post(COURSES, wish(), key="k")).status_code == 201
    other = wish(course=OTHER)
    assert (await booking.post(COURSES, other, key="k", role=SECOND_DESK)).status_code == 201


async def test_a_key_belongs_to_its_route(booking: Desk) -> None:
    assert (await booking.post(COURSES, wish(2), key="k")).status_code == 201
    moved = await booking.post(f"{SESSION_PATH}/reschedule", {"starts_at": (start(1) + HOUR).isoformat()}, key="k")
    assert [event["type"] for event in moved.json()] == ["booking.session.rescheduled.v1"]
    for number in (1, 2):
        gone = await booking.post(f"/v1/sessions/{session_id(number)}/cancel", {"by": "patient"}, key="k")
        assert gone.json()[0]["data"]["session_id"] == str(session_id(number))


async def test_a_refusal_is_kept_too(booking: Desk) -> None:
    await booking.post(COURSES, wish())
    first = await booking.post(f"{SESSION_PATH}/check-in", HERE, key="k")
    booking.clock.time = start(1)
    again = await booking.post(f"{SESSION_PATH}/check-in", HERE, key="k")
    assert (first.status_code, again.status_code, again.json()) == (409, 409, first.json())


async def test_a_key_that_is_being_worked_on_is_a_conflict_until_its_answer_is_there(booking: Desk) -> None:
    async with booking.service.database.begin() as connection:
        await run(connection, "LOCK TABLE inbox IN EXCLUSIVE MODE")
        first = asyncio.create_task(booking.post(COURSES, wish(), key="k"))
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'inbox'::regclass"
        while not await booking.rows(waiting):  # noqa: ASYNC110 - PostgreSQL rings no bell
            await asyncio.sleep(0.01)
        second = await booking.post(COURSES, wish(), key="k")
        assert (second.status_code, second.json()["title"]) == (409, "in_flight")
    answer = await first
    assert answer.status_code == 201
    assert (await booking.post(COURSES, wish(), key="k")).json() == answer.json()
