"""Traces at the doors of a service: on HTTP, on what cannot be read, and on what waits for an operator."""

import logging
from typing import Any
from uuid import uuid4

import pytest

from shared.decision import trace
from shared.tables.outbox import unpack
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE
from tests.stand_ins.booking_desk import Desk, wish
from tests.stand_ins.callers import key_of
from tests.stand_ins.road import Road, booking_rules, failing_on, raw, record, road

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


async def told(on: Desk | Road) -> set[str]:
    """The traceparents in the outbox."""
    rows = await on.rows("SELECT headers FROM outbox")
    headers = [dict(unpack(row.headers if isinstance(on, Desk) else row["headers"])) for row in rows]
    return {(one["ce_traceparent"] or b"").decode() for one in headers}


async def ask(booking: Desk, **headers: str) -> None:
    own = {"Authorization": f"Bearer {key_of('front_desk')}", "Idempotency-Key": str(uuid4())}
    answer = await booking.client.post("/v1/courses", json=wish(), headers=own | headers)
    assert answer.status_code == 201


async def test_a_request_by_http_hands_its_trace_on(booking: Desk) -> None:
    await ask(booking, traceparent=GIVEN)
    assert await told(booking) == {GIVEN}


async def test_a_header_that_is_no_trace_is_left_behind_and_one_is_made(booking: Desk) -> None:
    await ask(booking, traceparent="Robin Example")
    (made,) = await told(booking)
    assert trace.given(made) == made


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any, Any]]:
    """What was logged: message, event and trace."""
    told = [record.__dict__ for record in caplog.records if record.name.startswith("shared.")]
    return [(line["msg"] % line["args"], line.get("event_id"), line.get("trace_id")) for line in told]


async def test_a_dead_letter_has_a_line_with_its_trace(
    databases: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shared")
    unreadable = raw("clinic.requests", b"not JSON", [("ce_id", b"x"), ("ce_traceparent", GIVEN.encode())])
    async with road(databases["booking"]) as booking:
        await booking.hear(unreadable)
    assert lines(caplog) == [("dead letter: unreadable: missing_header", unreadable.offset_id, TRACE_ID)]


async def test_what_a_defect_holds_back_keeps_its_trace_until_it_is_retried(
    databases: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shared")
    rules, broken = failing_on(booking_rules(), COURSE)
    asked = record(course_requested(1))
    asked = asked._replace(headers=(*asked.headers, ("ce_traceparent", GIVEN.encode())))
    async with road(databases["booking"], rules) as booking:
        await booking.hear(asked, prepayment_satisfied(1))
        assert ("a rule failed on clinic.course.requested.v1", TRACE_ID) in [(m, t) for m, _, t in lines(caplog)]
        assert ("dead letter: defect: ZeroDivisionError", TRACE_ID) in [(m, t) for m, _, t in lines(caplog)]
        (first,) = await booking.values("SELECT id FROM dead_letters WHERE kind = 'defect'")
        caplog.clear()
        with pytest.raises(ZeroDivisionError):
            await booking.worker.retry(first, "somebody")
        assert ("a rule failed on clinic.course.requested.v1", TRACE_ID) in [(m, t) for m, _, t in lines(caplog)]
        broken.clear()
        await booking.worker.retry(first, "somebody")
        assert GIVEN in await told(booking)


async def test_a_timer_that_failed_keeps_the_trace_of_what_set_it(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules(), COURSE)
    broken.clear()
    asked = record(course_requested(1))
    asked = asked._replace(headers=(*asked.headers, ("ce_traceparent", GIVEN.encode())))
    async with road(databases["booking"], rules) as booking:
        await booking.hear(asked)
        broken.add(str(COURSE))
        (due_at,) = await booking.values("SELECT due_at FROM timers")
        booking.clock.time = due_at
        await booking.worker.on_timers(due_at)
        await booking.values("DELETE FROM outbox RETURNING 1")
        broken.clear()
        (letter,) = await booking.values("SELECT id FROM dead_letters WHERE kind = 'defect'")
        await booking.worker.retry(letter, "somebody")
        assert await booking.types() != []
        assert await told(booking) == {GIVEN}
