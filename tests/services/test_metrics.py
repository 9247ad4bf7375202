"""What a scrape tells an operator, read from a real PostgreSQL; and that it answers in time, whatever is away."""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import FastAPI

from services.booking.main import build
from services.booking.rules.closures import ClosureRequested
from services.booking.settings import BookingSettings
from shared import VERSION
from shared.contract.closed_sets import Needs
from shared.instruments import metrics
from shared.postgres.query import run
from shared.service import readings
from tests.booking_desk import Desk, desk, required
from tests.booking_story import CLINICS, HOUR, NOW, requested, satisfied, start
from tests.callers import keys_file
from tests.reminders_front import Front, open_front
from tests.reminders_story import MONDAY
from tests.road import SetClock, raw, request
from tests.scrapes import Scrape, scrape

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
async def booking(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(databases["booking"], keys_file(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def reminders(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Front]:
    async with open_front(databases["reminders"], tmp_path) as opened:
        yield opened


async def test_what_waits_for_the_relay_is_counted_and_has_an_age(booking: Desk) -> None:
    empty = await scrape(booking.app)
    assert (empty.value("chairtime_outbox_waiting"), empty.value("chairtime_outbox_oldest_seconds")) == (0, 0)

    await booking.hear(requested(1))
    booking.clock.time = NOW + timedelta(seconds=90)
    await booking.hear(satisfied(1))
    told = await scrape(booking.app)
    assert (told.value("chairtime_outbox_waiting"), told.value("chairtime_outbox_oldest_seconds")) == (2, 90)
    assert told.value("chairtime_relay_holder") == 0, "it was not started"
    assert told.value("chairtime_database_up") == 1


async def test_a_deadline_that_was_not_acted_upon_has_an_age(booking: Desk) -> None:
    await booking.hear(requested(1))
    booking.clock.time = NOW + 72 * HOUR - timedelta(seconds=1)
    assert (await scrape(booking.app)).value("chairtime_timers_overdue_seconds") == 0
    booking.clock.time = NOW + 72 * HOUR + timedelta(seconds=40)
    assert (await scrape(booking.app)).value("chairtime_timers_overdue_seconds") == 40


async def test_open_letters_and_matters_are_counted_by_kind(booking: Desk) -> None:
    await booking.service.worker.on_records([raw("clinic.requests", b"not JSON"), raw("clinic.requests", b"nor this")])
    course = requested(1)
    id = str(uuid4())
    await booking.service.worker.on_records([raw("clinic.requests", b"{}", [("ce_id", id.encode())])])
    await booking.hear(satisfied(1, course=uuid4()))
    booking.clock.time = NOW + 25 * HOUR
    await booking.timers(booking.clock.time)
    booking.clock.time += HOUR
    told = await scrape(booking.app)
    assert told.value("chairtime_dead_letters_open", kind="unreadable") == 3
    assert told.value("chairtime_dead_letters_open", kind="defect") == 0
    assert told.value("chairtime_attention_open", kind="unknown_course") == 1
    assert told.value("chairtime_attention_oldest_seconds", kind="unknown_course") == 3600
    assert str(course.course_id) not in told.text

    async with booking.service.database.begin() as connection:
        await run(connection, "UPDATE attention SET resolved_at = now(), resolved_by = 'x', resolution = 'y'")
    assert not (await scrape(booking.app)).has("chairtime_attention_open")


def test_what_is_not_heard_yet_is_told_by_topic_and_what_retention_has_deleted_is_not() -> None:
    ends = {("a", 0): 10, ("a", 1): 5, ("b", 0): 7, ("c", 0): 9}
    heard = {("a", 0): 4, ("a", 1): 5, ("b", 0): 0, ("d", 0): 3}
    assert readings.lag(heard, {("b", 0): 5, ("c", 0): 9}, ends) == {("a",): 6, ("b",): 2, ("c",): 0}


async def test_the_release_is_the_one_that_the_project_names(booking: Desk) -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"] == VERSION
    (info,) = [s for s in (await scrape(booking.app)).samples if s.name == "chairtime_build_info"]
    assert (info.labels["version"], info.labels["service"]) == (VERSION, "booking")


def test_a_service_that_has_just_begun_counts_from_nothing() -> None:
    metrics.begin("a new one")
    told = Scrape(metrics.page("a new one", []).decode())
    assert told.value("chairtime_messages_total", outcome="handled") == 0
    assert told.value("chairtime_dead_letters_total", kind="defect") == 0
    assert {sample.labels["service"] for sample in told.samples if "service" in sample.labels} == {"a new one"}


@asynccontextmanager
async def booking_at(url: str) -> AsyncIterator[FastAPI]:
    settings = BookingSettings(kafka="127.0.0.1:1", booking_database=url, profiles=CLINICS)
    app = build(settings, SetClock())
    yield app
    await app.state.service.stop()


async def test_while_postgresql_is_away_a_scrape_answers_and_says_so() -> None:
    async with booking_at("postgresql://booking@127.0.0.1:1/booking") as app:
        told = await scrape(app)
    assert (told.value("chairtime_database_up"), told.value("chairtime_kafka_up")) == (0, 0)
    assert told.has("chairtime_build_info")
    assert told.has("chairtime_last_poll_timestamp_seconds")
    assert not told.has("chairtime_outbox_waiting"), "what is not known is not told"


async def test_while_postgresql_hangs_a_scrape_answers_in_time_and_asks_no_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    monkeypatch.setattr(readings, "PATIENCE", 0.3)
    server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, booking_at(f"postgresql://booking@127.0.0.1:{port}/booking?ssl=disable") as app:
        began = time.monotonic()
        for _ in range(3):
            assert (await scrape(app)).value("chairtime_database_up") == 0
        assert time.monotonic() - began < 3
        assert asked == 1


async def test_who_has_not_paid_for_tomorrow_is_counted_by_what_is_missing(booking: Desk) -> None:
    await booking.hear(requested(2), satisfied(2))

    async def unpaid(within: str, needs: str = "money", location: str = "stella") -> float:
        told = await scrape(booking.app)
        return told.value("chairtime_unpaid_sessions", location=location, within=within, needs=needs)

    assert (await unpaid("24h"), await unpaid("48h")) == (0, 0)
    booking.clock.time = start(1) - 47 * HOUR
    assert (await unpaid("24h"), await unpaid("48h")) == (0, 1)
    booking.clock.time = start(1) - 23 * HOUR
    assert (await unpaid("24h"), await unpaid("48h"), await unpaid("48h", location="albany")) == (1, 1, 0)
    await booking.hear(required(1, Needs.AUTHORIZATION))
    assert (await unpaid("24h"), await unpaid("24h", "authorization")) == (0, 1)
    booking.clock.time = start(1)
    assert await unpaid("24h", "authorization") == 1, "this very moment"
    booking.clock.time = start(2) - HOUR
    assert (await unpaid("48h"), await unpaid("48h", "authorization")) == (0, 0), "one is over, one is paid"


async def test_chair_use_is_what_is_taken_of_what_is_open(booking: Desk) -> None:
    booking.clock.time = start(1) - HOUR
    before = await scrape(booking.app)
    assert before.value("chairtime_chair_minutes_open", location="stella", days="today") == 4 * 11 * 60
    assert before.value("chairtime_chair_minutes_open", location="stella", days="7d") == 5 * 4 * 11 * 60

    booking.clock.time = NOW
    await booking.hear(requested(2), satisfied(1))
    closure = ClosureRequested(
        closure_id=uuid4(), location="stella", chair="chair-4", starts_at=start(1) - HOUR, ends_at=start(1) + HOUR
    )
    await booking.service.worker.submit(request(closure))
    booking.clock.time = start(1) - HOUR
    told = await scrape(booking.app)
    (session,) = await booking.rows("SELECT ends_at - starts_at AS length FROM sessions WHERE number = 1")
    length = session.length.total_seconds() / 60

    def taken(days: str, state: str) -> float:
        return told.value("chairtime_chair_minutes_taken", location="stella", days=days, state=state)

    assert (taken("today", "confirmed"), taken("today", "held")) == (length, 0)
    assert (taken("7d", "confirmed"), taken("7d", "held")) == (length, length)
    assert told.value("chairtime_chair_minutes_open", location="stella", days="today") == 4 * 11 * 60 - 120


async def test_texts_that_could_go_out_and_did_not_are_counted_and_have_an_age(reminders: Front) -> None:
    await reminders.rig.planned()
    reminders.rig.clock.move(MONDAY + timedelta(minutes=7))
    told = await scrape(reminders.app)
    assert (told.value("chairtime_texts_overdue"), told.value("chairtime_texts_overdue_seconds")) == (1, 420)
    await reminders.send()
    told = await scrape(reminders.app)
    assert (told.value("chairtime_texts_overdue"), told.value("chairtime_texts_overdue_seconds")) == (0, 0)
    assert told.value("chairtime_texts_total", outcome="accepted") >= 1
    assert told.value("chairtime_text_lateness_seconds_bucket", le="300.0") < told.value(
        "chairtime_text_lateness_seconds_count"
    ), "seven minutes"


async def test_pauses_are_told_by_clinic_and_never_by_person(reminders: Front) -> None:
    await reminders.rig.planned()
    assert (await scrape(reminders.app)).value("chairtime_pauses", scope="all", clinic="") == 0
    for body in ({}, {"clinic": "stella"}, {"contact_id": "patient-1"}):
        assert (await reminders.post("/v1/pause", body)).status_code == 200
    told = await scrape(reminders.app)
    assert told.value("chairtime_pauses", scope="all", clinic="") == 1
    assert told.value("chairtime_pauses", scope="clinic", clinic="stella") == 1
    assert told.value("chairtime_pauses", scope="contact", clinic="") == 1
    assert "patient-1" not in told.text
    await reminders.send()
    assert (await scrape(reminders.app)).value("chairtime_texts_overdue") == 0, "paused is not late"
