"""One trace, followed from a payment on Kafka through billing, booking and reminders to the line of the text that went
out, and from a deadline of that course to what it told.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from deploy.operating.publish import ClinicSystem, Event
from shared.contract.topics import SERVICE_TOPICS
from shared.kafka.cluster import Cluster
from tests.journeys.conftest import Course, Journey, weekday_mornings
from tests.stand_ins.kafka_clients import places_of

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def traces(journey: Journey, course: Course) -> dict[str, set[str | None]]:
    """The traceparents that stand on the events of a course, by type."""
    found: dict[str, set[str | None]] = {}
    consumer = AIOKafkaConsumer(bootstrap_servers=journey.address.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        places = places_of(*SERVICE_TOPICS)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    if record.key == str(course.id).encode():
                        headers = {name: value.decode() for name, value in record.headers}
                        found.setdefault(headers["ce_type"], set()).add(headers.get("ce_traceparent"))
    finally:
        await consumer.stop()
    return found


async def test_one_trace_leads_from_a_payment_to_the_text_that_went_out(
    journey: Journey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "services.reminders")
    caplog.set_level(logging.DEBUG, "shared.worker")
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=2))
    await journey.publish(course.contact(journey.now), course.requested)
    paid = Event("payment-of-this-test", "/tests", journey.now, course.paid(journey.now, 45000), GIVEN)
    await asyncio.to_thread(ClinicSystem(Cluster(journey.address.kafka)).publish, [paid])
    await journey.pass_time(timedelta(hours=16))  # it may be night where the patient is

    assert await journey.states(course.id) == ["confirmed"]
    lines = [record for record in caplog.records if getattr(record, "trace_id", None) == TRACE_ID]
    (sent,) = [record for record in lines if record.getMessage() == "text accepted"]
    (booked,) = [text for text in journey.texts if text.kind == "booked"]
    assert str(sent.__dict__["text_id"]) == str(booked.text_id)
    heard = {
        (record.__dict__["service"], record.getMessage()) for record in lines if record.name == "shared.worker.worker"
    }
    assert heard == {
        ("billing", "heard clinic.payment.captured.v1"),
        ("booking", "heard billing.prepayment.satisfied.v1"),
        ("reminders", "heard billing.prepayment.satisfied.v1"),
        ("billing", "heard booking.session.confirmed.v1"),
        ("reminders", "heard booking.session.confirmed.v1"),
    }

    told = await traces(journey, course)
    for type in ("billing.payment.recorded", "billing.prepayment.satisfied", "booking.session.confirmed"):
        assert told[f"{type}.v1"] == {GIVEN}
    assert GIVEN in told["reminders.text.sent.v1"]

    texts: list[dict[str, Any]] = await journey.get("reminders", f"/v1/texts?course_id={course.id}")
    by_kind = {text["kind"]: text["trace_id"] for text in texts}
    assert by_kind["booked"] == by_kind["day_before"] == TRACE_ID
    assert by_kind["payment_due"] != TRACE_ID, "the request's: it was planned before the payment"

    sent_before = len(caplog.records)
    await journey.until(course.starts[0] - timedelta(hours=23))
    later = [r for r in caplog.records[sent_before:] if r.getMessage() == "text accepted"]
    assert {getattr(record, "trace_id", None) for record in later} == {TRACE_ID}, "days later, by the text's own row"


async def test_a_deadline_tells_with_the_trace_of_what_set_it(journey: Journey) -> None:
    course = Course(weekday_mornings(journey.now, 1, weeks_ahead=3))
    asked = Event("request-of-this-test", "/tests", journey.now, course.requested, GIVEN)
    await asyncio.to_thread(ClinicSystem(Cluster(journey.address.kafka)).publish, [asked])
    await journey.pass_time(timedelta(days=8))

    told = await traces(journey, course)
    assert told["booking.course.accepted.v1"] == {GIVEN}
    assert told["booking.session.released.v1"] == {GIVEN}, "by the end of its hold"
