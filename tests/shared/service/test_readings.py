"""What a scrape reads of the road in a real PostgreSQL; it answers in time, whatever is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI

from services.booking.main import build
from services.booking.settings import BookingSettings
from shared.postgres.query import run
from shared.service import readings
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import HOUR, NOW
from tests.stand_ins.booking_desk import Desk
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.road import SetClock, raw
from tests.stand_ins.scrapes import scrape


async def test_what_waits_for_the_relay_is_counted_and_has_an_age(booking: Desk) -> None:
    empty = await scrape(booking.app)
    assert (empty.value("chairtime_outbox_waiting"), empty.value("chairtime_outbox_oldest_seconds")) == (0, 0)

    await booking.hear(course_requested(1))
    booking.clock.time = NOW + timedelta(seconds=90)
    await booking.hear(prepayment_satisfied(1))
    told = await scrape(booking.app)
    assert (told.value("chairtime_outbox_waiting"), told.value("chairtime_outbox_oldest_seconds")) == (2, 90)
    assert told.value("chairtime_relay_holder") == 0, "it was not started"
    assert told.value("chairtime_database_up") == 1


async def test_a_deadline_that_was_not_acted_upon_has_an_age(booking: Desk) -> None:
    await booking.hear(course_requested(1))
    booking.clock.time = NOW + 72 * HOUR - timedelta(seconds=1)
    assert (await scrape(booking.app)).value("chairtime_timers_overdue_seconds") == 0
    booking.clock.time = NOW + 72 * HOUR + timedelta(seconds=40)
    assert (await scrape(booking.app)).value("chairtime_timers_overdue_seconds") == 40


async def test_open_letters_and_matters_are_counted_by_kind(booking: Desk) -> None:
    await booking.service.worker.on_records([raw("clinic.requests", b"not JSON"), raw("clinic.requests", b"nor this")])
    course = course_requested(1)
    id = str(uuid4())
    await booking.service.worker.on_records([raw("clinic.requests", b"{}", [("ce_id", id.encode())])])
    await booking.hear(prepayment_satisfied(1, course=uuid4()))
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
