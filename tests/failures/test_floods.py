"""Floods: much at once, twice and more, too large, while members come and go and the database is slow."""

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from deploy.operating.publish import Event
from shared.contract.clinic import PaymentCaptured
from shared.decision.message import headers_of
from tests.failures.processes import Processes, event, processes
from tests.failures.story import course, paid
from tests.failures.test_garbage import KAFKA_TAKES
from tests.stand_ins.kafka_clients import producer

EVENTS: Final = 20_000
COURSES: Final = 2_000
GROWTH: Final = 80 * 1024**2
"""Bytes by which a process may grow while it takes a flood; a batch in hand is the most of it."""


def flood(seed: int) -> list[Event]:
    """Payments for courses that nobody has booked, each published 2 to 10 times, in any order."""
    dice = random.Random(seed)
    strangers = [course(0) for _ in range(COURSES)]
    events: list[Event] = []
    while len(events) < EVENTS:
        events += [event(paid(dice.choice(strangers)))] * dice.randint(2, 10)
    del events[EVENTS:]
    dice.shuffle(events)
    return events


async def each_is_booked_once(running: Processes, events: list[Event]) -> None:
    """Every payment stands in the ledger once, was told of once, and nothing else stands there."""
    payments: dict[str, PaymentCaptured] = {e.id: e.data for e in events if isinstance(e.data, PaymentCaptured)}
    cents = sum(payment.amount_cents for payment in payments.values())
    booked = await running.rows(
        "billing", "SELECT count(*), sum(amount_cents) FROM entries JOIN lines ON entry_id = id WHERE amount_cents > 0"
    )
    assert tuple(booked[0]) == (len(payments), cents)
    told = "SELECT count(*) FROM outbox WHERE headers LIKE '%billing.payment.recorded.v1%'::bytea"
    assert await running.value("billing", told) == len(payments)
    assert await running.value("billing", "SELECT count(*) FROM payments") == len(payments)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1])
async def test_members_come_and_go_while_20000_events_pass(
    kafka: str, databases: dict[str, str], home: Path, seed: int
) -> None:
    events = flood(seed)
    async with processes(databases, kafka, home, start=("billing",)) as running:
        publishing = asyncio.create_task(publish(running, events))
        for number in range(2, 5):
            name = f"billing-{number}"
            running.start("billing", name)
            await running.ready(name)
            await asyncio.sleep(0.5)
            await running.end(name)
        await publishing
        await running.until(lambda: drained(running, "billing"), "all is heard", 90)
        await each_is_booked_once(running, events)
        await running.publish(
            *(changed(e) for e in events[:5])
        )  # known by their ids, whatever the payment's own id says
        await running.until(lambda: drained(running, "billing"), "all is heard")
        alarms = await running.rows("billing", "SELECT kind, subject FROM attention WHERE kind = 'payload_conflict'")
        assert {row.subject for row in alarms} == {e.id for e in events[:5]}
        await each_is_booked_once(running, events)


@pytest.mark.timeout(120)
async def test_a_slow_database_delays_and_the_lag_drains_by_itself_in_flat_memory(
    kafka: str, databases: dict[str, str], home: Path
) -> None:
    events = flood(2)
    async with processes(databases, kafka, home, start=("billing",)) as running:
        await running.publish(*events[:2000])
        await running.until(lambda: drained(running, "billing"), "the first are heard")
        before = resident(running, "billing")
        async with running.locked("billing", "accounts"):
            publishing = asyncio.create_task(publish(running, events[2000:]))
            await asyncio.sleep(4)
            assert (await running.call("billing", "GET", "/health/live"))[0] == 200
            assert await running.lag("billing") > 0
            held = resident(running, "billing")
            await publishing
            assert await running.value("billing", CUT_BLOCKED) > 0, "a batch fails, and comes again"
        began_at = time.monotonic()
        await running.until(lambda: drained(running, "billing"), "the lag drains", 60)
        assert time.monotonic() - began_at < 60
        assert max(held, resident(running, "billing")) - before < GROWTH
        await each_is_booked_once(running, events)


async def test_a_message_of_a_megabyte_is_taken_or_dead_lettered_and_holds_up_nobody(
    kafka: str, databases: dict[str, str], home: Path
) -> None:
    large, unreadable, small = (paid(course(0)) for _ in range(3))
    note = "x" * (KAFKA_TAKES - 1000)
    async with (
        processes(databases, kafka, home, start=("billing",)) as running,
        producer(kafka, max_request_size=2 * 1024**2) as client,
    ):
        for fact, value in (
            (large, json.dumps(json.loads(large.model_dump_json()) | {"note": note}).encode()),
            (unreadable, json.dumps({"note": note}).encode()),
            (small, small.model_dump_json().encode()),
        ):
            told = event(fact)
            headers: list[Any] = headers_of(fact, str(uuid4()), "tests", told.time, None)
            await client.send_and_wait("clinic.payments", value, key=fact.key.encode(), headers=headers, partition=0)
        await running.until(lambda: drained(running, "billing"), "all is heard and told", 20)
        known = await running.rows("billing", "SELECT payment_id FROM payments")
        assert {row.payment_id for row in known} == {large.payment_id, small.payment_id}
        letters = await running.rows("billing", "SELECT kind, error_type, length(value) AS size FROM dead_letters")
        assert [tuple(row) for row in letters] == [("unreadable", "invalid", len(json.dumps({"note": note})))]


async def publish(running: Processes, events: list[Event]) -> None:
    """Publish, a thousand at a time."""
    for start in range(0, len(events), 1000):
        await running.publish(*events[start : start + 1000])


async def drained(running: Processes, service: str) -> bool:
    """Whether a service has heard and published everything."""
    waiting = await running.value(service, "SELECT count(*) FROM outbox WHERE published_at IS NULL")
    return not waiting and not await running.lag(service)


CUT_BLOCKED: Final = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'"""


def changed(told: Event) -> Event:
    """An event with the id of one that was heard, and a different payment in it."""
    other = paid(course(0))
    return Event(told.id, told.source, told.time, other)


def resident(running: Processes, name: str) -> int:
    """Bytes of memory that a process has."""
    pages = Path(f"/proc/{running.running[name].pid}/statm").read_text().split()[1]
    return int(pages) * 4096
