"""Booking alone, whole, on a real Kafka and PostgreSQL: what a plain client publishes comes back as events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from services.booking.main import build
from services.booking.rules.decide import HEARS
from services.booking.settings import BookingSettings
from shared.contract.register import EventData
from shared.decision.clock import WallClock
from shared.decision.message import Record, headers_of
from shared.kafka.consumer import COMMIT_SECONDS
from shared.kafka.topics import TOPICS
from shared.service.service import Service
from shared.worker.relay import partition_of
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.kafka_clients import (
    Tail,
    begin_at_the_end,
    consumer,
    delete_all,
    places_of,
    producer,
    spoiled,
    tail,
)
from tests.stand_ins.road import Road, road

PARTITIONS = TOPICS[0].partitions


@dataclass
class Running:
    """Booking at work, its events from here on, and a clinic's plain client."""

    service: Service[Any, Any]
    events: Tail
    client: AIOKafkaProducer
    database: Road
    course: UUID = field(default_factory=uuid4)

    async def publish(self, *told: EventData, id: str | None = None) -> None:
        """Send as any CloudEvents client would."""
        sent = [
            await self.client.send(
                one.topic,
                one.model_dump_json().encode(),
                key=one.key.encode(),
                headers=headers_of(one, id or str(uuid4()), "clinic", self.service.clock.now(), None),
            )
            for one in told
        ]
        await asyncio.gather(*sent)

    async def told(self, count: int) -> list[str]:
        """Types of the course's next events."""
        found = await self.events.read(count, str(self.course).encode())
        return [dict(record.headers)["ce_type"].decode() for record in found]

    def wish(self, **told: Any) -> EventData:
        """A course years ahead, so that the wall's clock does not matter."""
        sessions = [{"session_id": self.session, "starts_at": "2099-03-10T15:00:00Z"}]
        return course_requested(1, self.course, patient_id=str(self.course), sessions=sessions, **told)

    @property
    def session(self) -> UUID:
        return UUID(int=self.course.int ^ 1)

    def money(self, grant: int = 1) -> EventData:
        return prepayment_satisfied(1, grant, self.course).model_copy(update={"session_id": self.session})


@pytest.fixture
async def booking(kafka: str, databases: dict[str, str]) -> AsyncIterator[Running]:
    await begin_at_the_end(kafka)
    settings = BookingSettings(kafka=kafka, booking_database=databases["booking"], profiles=CLINICS)
    service: Service[Any, Any] = build(settings, WallClock()).state.service
    async with (
        tail(kafka, "booking.events") as events,
        producer(kafka) as client,
        road(databases["booking"]) as database,
    ):
        await service.start()
        try:
            yield Running(service, events, client, database)
        finally:
            await service.stop()


async def test_a_course_that_a_plain_client_requests_is_accepted_confirmed_and_told(booking: Running) -> None:
    await booking.publish(booking.wish())
    [record] = await booking.events.read(1, str(booking.course).encode())
    headers = dict(record.headers)
    assert headers["ce_type"] == b"booking.course.accepted.v1"
    assert (headers["ce_specversion"], headers["content-type"]) == (b"1.0", b"application/json")
    assert headers["ce_subject"] == str(booking.course).encode()
    assert orjson.loads(record.value)["sessions"][0]["chair"] == "chair-1"
    await booking.publish(booking.money())
    assert await booking.told(1) == ["booking.session.confirmed.v1"]
    assert await booking.service.unready() is None
    assert booking.service.trouble() is None


async def test_a_batch_that_fails_comes_again_and_has_one_effect(
    booking: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, failed = booking.service.kafka.consumer._handle, 0

    async def fail_twice(records: list[Record]) -> None:
        nonlocal failed
        if failed < 2:
            failed += 1
            if failed == 2:
                await handle(records)  # its effect is committed, and yet the batch comes again
            raise ConnectionResetError
        await handle(records)

    monkeypatch.setattr(booking.service.kafka.consumer, "_handle", fail_twice)
    await booking.publish(booking.wish())
    await booking.publish(booking.money())
    assert await booking.told(2) == ["booking.course.accepted.v1", "booking.session.confirmed.v1"]
    assert failed == 2
    await booking.publish(booking.money(2))
    assert await booking.told(1) == ["booking.session.confirmed.v1"], "nothing was told twice in between"


async def test_headers_that_are_null_or_no_text_cost_their_own_message_only(booking: Running) -> None:
    key = str(booking.course).encode()
    odd: Sequence[list[tuple[str, bytes | None]]] = (
        [("x", None)], [("x", b"\xff\xfe")], [("ce_id", None)], [], [("ce_id", b"\xff")],
    )  # fmt: skip
    await booking.publish(booking.wish())
    for headers in odd:
        await booking.client.send("clinic.requests", b"{}", key=key, headers=headers)
    await booking.client.send("clinic.requests", None, key=key)
    await booking.publish(booking.money())
    assert await booking.told(2) == ["booking.course.accepted.v1", "booking.session.confirmed.v1"]
    await booking.service.fence.passed()
    letters = await booking.database.rows("SELECT topic, kind FROM dead_letters WHERE key = :key", key=key)
    assert letters == [{"topic": "clinic.requests", "kind": "unreadable"}] * (len(odd) + 1)


async def test_a_header_name_that_the_client_cannot_parse_costs_its_own_message_only(
    booking: Running, kafka: str
) -> None:
    key = str(booking.course).encode()
    wish = booking.wish()
    headers = headers_of(wish, str(uuid4()), "clinic", booking.service.clock.now(), None)
    records = [
        (b"{}", [("readable", b"")]),
        (b"{}", [("spoiled!", b"")]),
        (wish.model_dump_json().encode(), headers),
    ]
    batch = spoiled(booking.client, key, records)
    await (await booking.client.send_batch(batch, wish.topic, partition=partition_of(key, PARTITIONS)))
    assert await booking.told(1) == ["booking.course.accepted.v1"]
    letters = await booking.database.rows("SELECT error, value FROM dead_letters WHERE key = :key ORDER BY id", key=key)
    assert letters == [
        {"error": "missing_header: ce_specversion", "value": b"{}"},
        {"error": "bad_header: a header is null", "value": b"{}"},
    ]
    await asyncio.wait_for(booking.service.fence.passed(), 10)
    await delete_all(kafka, wish.topic)  # other tests read with clients that cannot


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_publisher_may_compress(booking: Running, kafka: str, codec: str) -> None:
    wish = booking.wish()
    headers = headers_of(wish, str(uuid4()), "clinic", booking.service.clock.now(), None)
    async with producer(kafka, compression_type=codec) as client:
        value = wish.model_dump_json(indent=40).encode()
        await client.send_and_wait(wish.topic, value, key=wish.key.encode(), headers=headers)
    assert await booking.told(1) == ["booking.course.accepted.v1"]


async def test_a_transactions_marker_does_not_hold_up_the_fence(booking: Running, kafka: str) -> None:
    async with producer(kafka, transactional_id=str(uuid4())) as client, client.transaction():
        wish = booking.wish()
        headers = headers_of(wish, str(uuid4()), "clinic", booking.service.clock.now(), None)
        await client.send(wish.topic, wish.model_dump_json().encode(), key=wish.key.encode(), headers=headers)
    assert await booking.told(1) == ["booking.course.accepted.v1"]
    await asyncio.wait_for(booking.service.fence.passed(), 10)


async def test_a_service_that_starts_again_goes_on_where_it_stopped(
    booking: Running, kafka: str, databases: dict[str, str]
) -> None:
    await booking.publish(booking.wish())
    assert await booking.told(1) == ["booking.course.accepted.v1"]
    await booking.service.stop()
    await booking.publish(booking.money())
    settings = BookingSettings(kafka=kafka, booking_database=databases["booking"], profiles=CLINICS)
    again: Service[Any, Any] = build(settings, WallClock()).state.service
    await again.start()
    try:
        told = await booking.told(1)
        if told == ["booking.course.accepted.v1"]:  # it was not marked as published yet when the service stopped
            told = await booking.told(1)
        assert told == ["booking.session.confirmed.v1"]
    finally:
        await again.stop()


async def test_offsets_are_committed_after_the_effect_and_not_before(
    booking: Running, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, in_hand, go_on = booking.service.kafka.consumer._handle, asyncio.Event(), asyncio.Event()

    async def wait(records: list[Record]) -> None:
        in_hand.set()
        await go_on.wait()
        await handle(records)

    monkeypatch.setattr(booking.service.kafka.consumer, "_handle", wait)
    before = await offsets(kafka)
    await booking.publish(booking.wish())
    await asyncio.wait_for(in_hand.wait(), 10)
    await asyncio.sleep(2 * COMMIT_SECONDS)
    assert await offsets(kafka) == before
    go_on.set()
    await booking.told(1)
    async with asyncio.timeout(10):
        while sum((await offsets(kafka)).values()) <= sum(before.values()):  # noqa: ASYNC110 - Kafka rings no bell
            await asyncio.sleep(0.05)


async def offsets(kafka: str) -> dict[tuple[str, int], int]:
    """How far booking's group has committed."""
    async with consumer(kafka, group_id="booking") as client:
        places = places_of(*HEARS)
        client.assign(places)
        return {(p.topic, p.partition): await client.committed(p) or 0 for p in places}
