"""Unreadable messages on a real Kafka: one dead letter each, to the byte, and the next message is handled."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from confluent_kafka import Producer

from deploy.preparing.heard import HEARS
from shared.contract.booking import CourseClosed
from shared.contract.register import EventData
from shared.contract.topics import ANSWERED_BY, ERASABLE
from shared.decision.message import Record, headers_of
from shared.kafka.topics import TOPICS
from shared.tables.outbox import unpack
from tests.facts.clinic import course_cancel_requested, patient_missed
from tests.failures.processes import Processes, event, processes
from tests.failures.story import contact, course, paid
from tests.stand_ins.clinic_records import raw
from tests.stand_ins.kafka_clients import consumer
from tests.stand_ins.unreadable import UNREADABLE

TIMES: Final = 5
PARTITIONS: Final = TOPICS[0].partitions

KAFKA_TAKES: Final = 1_048_588 - 400
"""Bytes of the largest value that a topic takes by default, besides key and headers."""

KINDS: Final = {
    name: (code, record)
    for name, (code, record) in UNREADABLE.items()
    if record.key is not None or record.topic not in ERASABLE  # Kafka itself takes nothing without a key there
} | {"as large as Kafka takes": ("not_json", raw(b"\xff" * KAFKA_TAKES))}


@pytest.mark.timeout(180)
async def test_garbage_is_dead_lettered_once_to_the_byte_and_blocks_nothing(
    kafka: str, databases: dict[str, str], home: Path
) -> None:
    assert len(KINDS) >= 40
    async with processes(databases, kafka, home) as running:
        codes = [code for code, _ in KINDS.values() for _ in range(TIMES)]
        bad = [
            record._replace(partition=(number + again) % PARTITIONS)
            for number, (_, record) in enumerate(KINDS.values())
            for again in range(TIMES)
        ]
        sent = list(zip(codes, await asyncio.to_thread(put, kafka, bad), strict=True))
        began_at = time.monotonic()
        topics = sorted({record.topic for _, record in sent})
        after = [readable(topic)._replace(partition=number) for topic in topics for number in range(PARTITIONS)]
        for good in await asyncio.to_thread(put, kafka, after):
            for service in hearing(good.topic):
                await running.until(lambda s=service, r=good: heard(running, s, r), f"{service} hears {good}", 20)
        took = time.monotonic() - began_at
        await running.rest()
        for service in HEARS:
            expected = [(code, record) for code, record in sent if service in answering(record.topic)]
            kept = {place(record): [(code, record)] for code, record in expected}
            assert await letters_of(running, service) == kept
            shown = {place(record): [(code, public(record))] for code, record in expected}
            assert await told(running, service) == shown
            assert (await running.call(service, "GET", "/health/live"))[0] == 200
        assert took < 5, "the next message was handled late"
        await running.check()


def put(kafka: str, records: Sequence[Record]) -> list[Record]:
    """Publish records as they are, by a client that refuses nothing; returns them with their places."""
    client = Producer({"bootstrap.servers": kafka, "enable.idempotence": True, "message.max.bytes": 2 * 1024**2})
    stand = list(records)
    for number, record in enumerate(records):

        def on_delivery(error: Any, told: Any, number: int = number) -> None:
            assert error is None, error
            stand[number] = records[number]._replace(offset=told.offset(), timestamp_ms=told.timestamp()[1])

        headers: Any = list(record.headers)
        client.produce(
            record.topic, record.value, record.key, record.partition, on_delivery=on_delivery, headers=headers
        )
        client.poll(0)
    assert client.flush(30) == 0
    return stand


def readable(topic: str) -> Record:
    """A message of a topic that has nothing wrong with it, about somebody whom nobody knows."""
    stranger = course(0)
    fact: EventData = {
        "clinic.payments": paid(stranger),
        "clinic.contacts": contact(stranger),
        "clinic.requests": course_cancel_requested(stranger.id, by="clinic"),
        "clinic.sessions": patient_missed(course=stranger.id, session_id=uuid4(), at=stranger.starts[0]),
        "booking.events": CourseClosed(course_id=stranger.id, reason="cancelled"),
    }[topic]
    told = event(fact)
    headers = headers_of(fact, told.id, "tests", told.time, None)
    return Record(topic, 0, 0, 0, fact.key.encode(), fact.model_dump_json().encode(), tuple(headers))


def hearing(topic: str) -> list[str]:
    """The services that hear a topic."""
    return [service for service, topics in HEARS.items() if topic in topics]


def answering(topic: str) -> list[str]:
    """The services that keep a topic's garbage: one for each topic of clinics."""
    return [service for service in hearing(topic) if ANSWERED_BY.get(topic, service) == service]


async def heard(running: Processes, service: str, record: Record) -> bool:
    """Whether a message is behind a service: in its inbox, or of a type that it passes over."""
    id = (dict(record.headers)["ce_id"] or b"").decode()
    name = (dict(record.headers)["ce_type"] or b"").decode()
    if name not in HEARS[service][record.topic]:
        return True
    return bool(await running.value(service, "SELECT 1 FROM inbox WHERE id = :id", id=id))


Letters = dict[tuple[str, int, int], list[tuple[str, Record]]]


def place(record: Record) -> tuple[str, int, int]:
    """Where it stood."""
    return record.topic, record.partition, record.offset


def public(record: Record) -> Record:
    """What of it may stand on the dead-letter topic: of personal topics no bytes."""
    stripped = record._replace(timestamp_ms=0)
    return stripped._replace(key=None, value=None) if record.topic in ERASABLE else stripped


async def letters_of(running: Processes, service: str) -> Letters:
    """What a service has kept in its database, by place."""
    found: Letters = {}
    for row in await running.rows(service, "SELECT * FROM dead_letters WHERE status = 'open' AND kind = 'unreadable'"):
        at = (row.topic, row.partition, row.kafka_offset)
        record = Record(*at, row.timestamp_ms, row.key, row.value, tuple(unpack(row.headers)))
        assert row.error.startswith(row.error_type)
        found.setdefault(at, []).append((row.error_type, record))
    return found


async def told(running: Processes, service: str) -> Letters:
    """What stands on a service's dead-letter topic since it began, by place, without repeats of the relay."""
    topic = f"{service}.dead-letters"
    found: Letters = {}
    first = await running.rows(
        service,
        "SELECT partition, min(kafka_offset), max(kafka_offset) + 1 FROM outbox WHERE topic = :t GROUP BY 1",
        t=topic,
    )
    async with consumer(running.kafka) as client:
        for partition, start, end in first:
            client.assign([TopicPartition(topic, partition)])
            client.seek(TopicPartition(topic, partition), start)
            position = start
            while position < end:
                record = await client.getone()
                position = record.offset + 1
                headers: dict[str, Any] = dict(record.headers)
                at = headers["x-topic"].decode(), int(headers["x-partition"]), int(headers["x-offset"])
                own = tuple(h for h in record.headers if not h[0].startswith("x-") or h[0] in ("x-note", "x-other"))
                assert headers["x-error"].startswith(headers["x-error-type"])
                letter = headers["x-error-type"].decode(), Record(*at, 0, record.key, record.value, own)
                found.setdefault(at, []).append(letter)
    return found
