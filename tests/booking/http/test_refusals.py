"""What booking refuses at its door: bad input is named by field and never by value."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from tests.conftest import copies
from tests.facts.course import COURSE, DAY, HOUR, OTHER, session_id, start
from tests.stand_ins.booking_desk import (
    COURSE_PATH,
    COURSES,
    HERE,
    NOBODY,
    SECRET,
    SESSION_PATH,
    Desk,
    desk,
    wish,
)
from tests.stand_ins.callers import keys_file

CLOSURES: Final = "/v1/closures"


@pytest.fixture(scope="module")
async def door(
    postgres: str, template_databases: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """One for all that is refused and so changes nothing; a course is held there."""
    keys = keys_file(tmp_path_factory.mktemp("keys"))
    async with copies(postgres, template_databases) as urls, desk(urls["booking"], keys) as opened:
        assert (await opened.post(COURSES, wish())).status_code == 201
        yield opened


ASKED: Final = wish(course=OTHER)


def starting(text: Any) -> dict[str, Any]:
    return ASKED | {"sessions": [{"session_id": str(session_id(1, OTHER)), "starts_at": text}]}


def without(body: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != field}


def planned(**plan: Any) -> dict[str, Any]:
    return without(ASKED, "sessions") | {"plan": {"first_day": "2026-03-10"} | plan}


WINTER, SUMMER = "2027-03-14T02:30:00-06:00", "2027-03-14T02:30:00-05:00"
"""The time that Chicago's clocks skip, by the offset before and after."""

GAP_OF_2026: Final = "2026-03-08T02:30:00-06:00"

CLOSURE: Final[dict[str, Any]] = {
    "closure_id": NOBODY,
    "location": "stella",
    "starts_at": start(1).isoformat(),
    "ends_at": (start(1) + HOUR).isoformat(),
}

TREATED: Final = {"started_at": start(1).isoformat(), "ended_at": (start(1) + HOUR).isoformat()}
BACKWARDS: Final = {"started_at": TREATED["ended_at"], "ended_at": TREATED["started_at"]}
NO_UNITS: Final = TREATED | {"services": [{"code": "96365", "units": 0}]}
NAN_AT: Final = json.dumps(HERE | {"starts_at": float("nan")}).encode()

BAD: Final[list[tuple[str, str, Any, int, str]]] = [
    ("truncated JSON", COURSES, json.dumps(ASKED).encode()[:-9], 400, "JSON"),
    ("no JSON", COURSES, b"\xff\xfe{}", 400, "JSON"),
    ("an empty body", COURSES, b"", 400, "JSON"),
    ("nested too deep", COURSES, b"[" * 5000, 400, "JSON"),
    ("no object", COURSES, [], 422, "data"),
    ("an unknown field", COURSES, ASKED | {"name": SECRET}, 422, "name"),
    ("an unknown field within", COURSES, planned(name=SECRET), 422, "plan.name"),
    ("a missing field", COURSES, without(ASKED, "payer"), 422, "payer"),
    ("sessions and a plan", COURSES, planned() | ASKED, 422, "data"),
    ("a naive time", COURSES, starting("2026-03-10T10:00:00"), 422, "sessions.0.starts_at"),
    ("a time in seconds", COURSES, starting(1773154800), 422, "sessions.0.starts_at"),
    ("no time", COURSES, starting(SECRET), 422, "sessions.0.starts_at"),
    ("a year that nobody means", COURSES, starting("9999-12-31T10:00:00Z"), 422, "sessions.0.starts_at"),
    ("a time in the gap, by winter's clock", COURSES, starting(WINTER), 422, "sessions.0.starts_at"),
    ("a time in the gap, by summer's clock", COURSES, starting(SUMMER), 422, "sessions.0.starts_at"),
    ("a time that is over", COURSES, starting("2026-02-27T16:00:00Z"), 422, "sessions.0.starts_at"),
    ("a session twice", COURSES, ASKED | {"sessions": ASKED["sessions"] * 2}, 422, "data"),
    ("no session", COURSES, ASKED | {"sessions": []}, 422, "sessions"),
    ("NUL in an id", COURSES, ASKED | {"patient_id": "p\x00"}, 422, "patient_id"),
    ("a bidi mark in an id", COURSES, ASKED | {"patient_id": "p\u202e1"}, 422, "patient_id"),
    ("NUL in a name", COURSES, ASKED | {"location": "stella\x00"}, 422, "location"),
    ("an id of 65 characters", COURSES, ASKED | {"patient_id": "p" * 65}, 422, "patient_id"),
    ("no UUID", COURSES, ASKED | {"course_id": SECRET}, 422, "course_id"),
    ("NaN", COURSES, json.dumps(ASKED | {"minutes": float("nan")}).encode(), 422, "minutes"),
    ("a negative number", COURSES, ASKED | {"minutes": -1}, 422, "minutes"),
    ("1e30", COURSES, json.dumps(ASKED).replace('"payer"', '"minutes": 1e30, "payer"').encode(), 422, "minutes"),
    ("a part of a minute", COURSES, ASKED | {"minutes": 45.5}, 422, "minutes"),
    ("a payer that there is not", COURSES, ASKED | {"payer": SECRET}, 422, "payer"),
    ("a wall time that there is not", COURSES, planned(earliest="25:00"), 422, "plan.earliest"),
    ("a day that there is not", COURSES, planned(first_day="2026-02-30"), 422, "plan.first_day"),
    ("an unknown wish's author", f"{COURSE_PATH}/cancel", {"by": SECRET}, 422, "by"),
    ("a field of the URL", f"{COURSE_PATH}/cancel", {"by": "patient", "course_id": NOBODY}, 422, "course_id"),
    ("an unknown change", f"{COURSE_PATH}/change", {"name": SECRET}, 422, "name"),
    ("a naive move", f"{SESSION_PATH}/reschedule", {"starts_at": "2026-03-11T10:00:00"}, 422, "starts_at"),
    ("a move into the gap", f"{SESSION_PATH}/reschedule", {"starts_at": WINTER}, 422, "starts_at"),
    ("a move into the past", f"{SESSION_PATH}/reschedule", {"starts_at": "2026-02-27T16:00:00Z"}, 422, "starts_at"),
    ("NaN for a time that may be left out", f"{SESSION_PATH}/check-in", NAN_AT, 422, "starts_at"),
    ("end before start", f"{SESSION_PATH}/complete", BACKWARDS, 422, "data"),
    ("units that are no count", f"{SESSION_PATH}/complete", NO_UNITS, 422, "services.0.units"),
    ("a missing time", f"{SESSION_PATH}/miss", {}, 422, "at"),
    ("a closure of nowhere", CLOSURES, CLOSURE | {"location": SECRET}, 404, "location"),
    ("a chair that there is not", CLOSURES, CLOSURE | {"chair": SECRET}, 422, "chair"),
    ("a provider that there is not", CLOSURES, CLOSURE | {"provider": SECRET}, 422, "provider"),
    ("a chair and a provider", CLOSURES, CLOSURE | {"chair": "chair-1", "provider": "provider-1"}, 422, "data"),
    ("a closure backwards", CLOSURES, CLOSURE | {"ends_at": CLOSURE["starts_at"]}, 422, "data"),
    ("400 days", CLOSURES, CLOSURE | {"ends_at": (start(1) + 400 * DAY).isoformat()}, 422, "data"),
    ("a closure into the gap", CLOSURES, CLOSURE | {"starts_at": GAP_OF_2026}, 422, "starts_at"),
    ("a closure's bidi mark", CLOSURES, CLOSURE | {"chair": "chair\u202e"}, 422, "chair"),
    ("no id in the path", "/v1/courses/x/cancel", {"by": "patient"}, 422, "course_id"),
    ("a course's action on nobody", f"/v1/courses/{NOBODY}/cancel", {"by": "patient"}, 404, "no such course"),
    ("a session's action on nobody", f"/v1/sessions/{NOBODY}/cancel", {"by": "patient"}, 404, "no such session"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "named"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_bad_input_is_refused_by_field_and_leaves_nothing_behind(
    door: Desk, path: str, body: Any, status: int, named: str
) -> None:
    answer = await door.post(path, body)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert re.search(rf"\b{re.escape(named)}\b", problem["detail"])
    assert SECRET not in answer.text
    assert [row.version for row in await door.rows("SELECT version FROM sessions")] == [1]
    assert not await door.rows("SELECT 1 FROM closures")


FREE: Final = "availability?location=stella&treatment=ketamine_induction"


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("sessions?location=nowhere&day=2026-03-10", 404, "location"),
        ("sessions?location=stella%00&day=2026-03-10", 404, "location"),
        ("sessions?day=2026-03-10", 422, "query.location"),
        ("sessions?location=stella", 422, "query.day"),
        ("sessions?location=stella&day=2026-02-30", 422, "query.day"),
        ("sessions?location=stella&day=1773154800", 422, "query.day"),
        ("sessions?location=stella&day=9999-12-31", 422, "query.day"),
        ("sessions?location=stella&day=0001-01-01", 422, "query.day"),
        ("sessions?location=stella&day=2026-03-10&limit=0", 422, "query.limit"),
        ("sessions?location=stella&day=2026-03-10&limit=501", 422, "query.limit"),
        ("sessions?location=stella&day=2026-03-10&after=20261310T000000.0Z_0", 422, "query.after"),
        ("sessions?location=stella&day=2026-03-10&after=%00", 422, "query.after"),
        ("availability?location=stella", 422, "query.treatment"),
        ("availability?location=nowhere&treatment=tms", 404, "location"),
        ("availability?location=stella&treatment=leeches%00", 422, "query.treatment"),
        (f"{FREE}&first_day=2026-03-10&last_day=2027-04-14", 422, "query.last_day"),
        (f"{FREE}&first_day=2026-03-10&last_day=2026-03-09", 422, "query.last_day"),
        (f"{FREE}&first_day=1773154800", 422, "query.first_day"),
        (f"{FREE}&first_day=9999-12-31", 422, "query.first_day"),
        (f"{FREE}&minutes=-1", 422, "query.minutes"),
        (f"{FREE}&minutes=NaN", 422, "query.minutes"),
        (f"{FREE}&minutes=1e30", 422, "query.minutes"),
        (f"{FREE}&limit=201", 422, "query.limit"),
        (f"{FREE}&patient_id=p%00", 422, "query.patient_id"),
        (f"{FREE}&patient_id=p%E2%80%AE", 422, "query.patient_id"),
    ],
)
async def test_a_question_that_cannot_be_meant_is_refused(door: Desk, query: str, status: int, named: str) -> None:
    answer = await door.get(f"/v1/{query}")
    assert (answer.status_code, named in answer.json()["detail"]) == (status, True), answer.text


async def test_a_taken_chair_is_a_conflict(booking: Desk) -> None:
    for n in range(4):
        course = UUID(int=COURSE.int + 1 + n)
        assert (await booking.post(COURSES, wish(course=course))).status_code == 201
    answer = await booking.post(COURSES, wish())
    assert (answer.status_code, answer.json()["title"]) == (409, "chair_taken")
    assert answer.json()["conflicts"] == [{"session_id": str(session_id(1)), "code": "chair_taken"}]


async def test_what_is_not_there_and_what_is_something_else_get_the_same_answer(booking: Desk) -> None:
    await booking.post(COURSES, wish())
    for path in (COURSES, "/v1/sessions"):
        method, tail, body = ("GET", "", None) if path == COURSES else ("POST", "/cancel", {"by": "patient"})
        answers = [
            await booking.post(f"{path}/{id}{tail}", body, method=method)
            for id in (NOBODY, uuid4(), session_id(1) if path == COURSES else COURSE)
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.text for answer in answers}) == 1
