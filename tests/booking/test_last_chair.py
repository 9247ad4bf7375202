"""A hundred want the last chair at once, over Kafka and over HTTP, from two replicas: one has it, the rest hear why."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from services.booking.main import build
from services.booking.settings import BookingSettings
from shared.contract.clinic import CourseRequested
from shared.decision.clock import WallClock
from shared.decision.message import Record, headers_of
from shared.service.service import Service
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE
from tests.stand_ins.booking_desk import (
    COURSES,
    desk,
    wish,
)
from tests.stand_ins.callers import keys_file
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.kafka_clients import Tail, begin_at_the_end, producer, tail
from tests.stand_ins.road import Road, road


async def test_of_a_hundred_requests_for_the_last_chair_on_two_replicas_one_gets_it(
    databases: dict[str, str], tmp_path: Path
) -> None:
    keys = keys_file(tmp_path)
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(desk(databases["booking"], keys, on_a_socket=True)) for _ in range(2)
        ]
        for n in range(3):
            assert (await one.post(COURSES, wish(course=UUID(int=COURSE.int + 1000 + n)))).status_code == 201
        crowd = [UUID(int=COURSE.int + 1 + n) for n in range(100)]
        answers = await asyncio.gather(
            *((one, two)[n % 2].post(COURSES, wish(course=course)) for n, course in enumerate(crowd))
        )
        refused = [answer for answer in answers if answer.status_code == 409]
        assert [answer.status_code for answer in answers if answer not in refused] == [201]
        assert len(refused) == 99
        assert {answer.json()["title"] for answer in refused} == {"chair_taken"}
        assert all(answer.json()["conflicts"] for answer in refused)
        held = await one.rows("SELECT chair FROM sessions WHERE occupies")
        assert sorted(row.chair for row in held) == ["chair-1", "chair-2", "chair-3", "chair-4"]


CROWD = 100
WHEN = "2099-03-10T15:00:00Z"


@pytest.fixture
def one_chair(tmp_path: Path) -> Path:
    """The shipped clinics, but Stella has one chair left."""
    shutil.copytree(CLINICS, tmp_path, dirs_exist_ok=True)
    profile = tmp_path / "stella" / "booking.toml"
    text = profile.read_text()
    profile.write_text(text.replace('["chair-1", "chair-2", "chair-3", "chair-4"]', '["chair-1"]'))
    assert profile.read_text() != text
    return tmp_path


@pytest.fixture
async def replicas(kafka: str, databases: dict[str, str], one_chair: Path) -> AsyncIterator[list[Service[Any, Any]]]:
    """Two of booking, which share its database and its topics."""
    await begin_at_the_end(kafka)
    settings = BookingSettings(kafka=kafka, booking_database=databases["booking"], profiles=one_chair)
    services: list[Service[Any, Any]] = [build(settings, WallClock()).state.service for _ in range(2)]
    await asyncio.gather(*(service.start() for service in services))
    async with asyncio.timeout(30):
        while not all(service.kafka.consumer.client.assignment() for service in services):  # noqa: ASYNC110 - no bell
            await asyncio.sleep(0.05)
    yield services
    await asyncio.gather(*(service.stop() for service in services))


@pytest.fixture
async def database(databases: dict[str, str]) -> AsyncIterator[Road]:
    async with road(databases["booking"]) as on:
        yield on


@pytest.fixture
async def events(kafka: str) -> AsyncIterator[Tail]:
    async with tail(kafka, "booking.events") as found:
        yield found


def wanted(course: UUID) -> CourseRequested:
    """The same hour for everybody, each a patient of their own."""
    sessions = [{"session_id": UUID(int=course.int ^ 1), "starts_at": WHEN}]
    return course_requested(course=course, patient_id=str(course), sessions=sessions)


def count_what_is_heard(service: Service[Any, Any], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that a replica handles from here on."""
    sizes: list[int] = []
    handle = service.kafka.consumer._handle

    async def counted(records: list[Record]) -> None:
        sizes.append(len(records))
        await handle(records)

    monkeypatch.setattr(service.kafka.consumer, "_handle", counted)
    return sizes


async def test_one_of_a_hundred_gets_the_last_chair(
    replicas: list[Service[Any, Any]], kafka: str, database: Road, events: Tail, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = [count_what_is_heard(service, monkeypatch) for service in replicas]
    courses = [uuid4() for _ in range(CROWD)]
    async with producer(kafka) as client:
        await asyncio.gather(
            *(
                client.send(
                    "clinic.requests",
                    wanted(course).model_dump_json().encode(),
                    key=str(course).encode(),
                    headers=headers_of(wanted(course), str(uuid4()), "clinic", replicas[0].clock.now(), None),
                )
                for course in courses
            )
        )
    answers = await events.read(CROWD, *(str(course).encode() for course in courses), seconds=60)
    assert len({record.key for record in answers}) == CROWD, "one answer each"
    told = [(dict(record.headers)["ce_type"].decode(), orjson.loads(record.value)) for record in answers]
    assert Counter(name for name, _ in told) == {
        "booking.course.accepted.v1": 1,
        "booking.course.rejected.v1": CROWD - 1,
    }
    for name, event in told:
        if name == "booking.course.rejected.v1":
            assert [conflict["code"] for conflict in event["conflicts"]] == ["chair_taken"]
            assert len(event["alternatives"][0]["starts_at"]) == 3
    assert all(heard), "both replicas had a part of it"
    assert await database.values("SELECT count(*) FROM sessions") == [1]
    assert await database.letters() == []
    assert await database.rows("SELECT kind FROM attention") == []


async def test_a_hundred_plans_fill_the_day_and_nobody_sits_on_anybody(
    replicas: list[Service[Any, Any]], kafka: str, database: Road, events: Tail
) -> None:
    """Eleven hours of one chair are six visits; the rest hear of the nearest week."""
    courses = [uuid4() for _ in range(CROWD)]
    plan = {"first_day": "2099-03-10", "count": 1, "weekdays": ["tue"]}
    async with producer(kafka) as client:
        for course in courses:
            data = course_requested(course=course, patient_id=str(course), sessions=None, plan=plan)
            await client.send(
                data.topic,
                data.model_dump_json().encode(),
                key=data.key.encode(),
                headers=headers_of(data, str(uuid4()), "clinic", replicas[0].clock.now(), None),
            )
    answers = await events.read(CROWD, *(str(course).encode() for course in courses), seconds=60)
    kinds = Counter(dict(record.headers)["ce_type"] for record in answers)
    assert kinds == {b"booking.course.accepted.v1": 6, b"booking.course.rejected.v1": CROWD - 6}
    rejected = [orjson.loads(r.value) for r in answers if dict(r.headers)["ce_type"] == b"booking.course.rejected.v1"]
    assert {(event["code"], event["nearest_start"][:10]) for event in rejected} == {("no_plan_found", "2099-03-17")}
    assert await database.values("SELECT count(DISTINCT starts_at) FROM sessions") == [6]
    assert await database.letters() == []
