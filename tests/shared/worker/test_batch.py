"""A batch: one message after the other, each seeing what those before it have done."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from services.booking.chairs.calendar import Calendar
from services.booking.rules.closures import Closure
from services.booking.rules.course import Course, CourseState
from services.booking.store import courses as store
from shared.decision.message import Message
from shared.postgres.values import Connection
from shared.worker.service_rules import Loaded
from tests.facts.billing import prepayment_overdue, prepayment_satisfied
from tests.facts.clinic import course_cancel_requested, course_requested
from tests.facts.course import COURSE, OTHER
from tests.stand_ins.booking_places import room
from tests.stand_ins.road import booking_rules, raw, record, road


async def test_types_that_are_not_ours_and_newer_ones_of_our_services_are_passed_over(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        known = record(prepayment_satisfied(), "a")
        newer = [(n, b"billing.prepayment.blessed.v1" if n == "ce_type" else v) for n, v in known.headers]
        foreign = [(n, b"billing.payment.recorded.v1" if n == "ce_type" else v) for n, v in known.headers]
        recorded = b'{"course_id": "%s", "payment_id": "p", "amount_cents": 1, "unallocated_cents": 0}'
        await booking.hear(
            raw("billing.events", b"{}", newer, known.key),
            raw("billing.events", recorded % str(COURSE).encode(), foreign, known.key),
        )
        assert await booking.values("SELECT count(*) FROM inbox") == [0]
        assert await booking.letters() == []
        assert await booking.values("SELECT count(*) FROM heard") == [1]


async def test_two_requests_of_one_batch_see_each_other(databases: dict[str, str]) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(course_requested(1), course_requested(1, OTHER))
        assert await booking.types(COURSE) == ["course.accepted"]
        assert await booking.types(OTHER) == ["course.rejected"]


async def test_within_one_batch_a_place_is_released_and_taken_by_who_comes_next(databases: dict[str, str]) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(course_requested(1))
        await booking.hear(course_cancel_requested(), course_requested(1, OTHER), prepayment_satisfied(1, course=OTHER))
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]


async def test_within_one_batch_a_place_is_released_taken_by_another_and_asked_for_again(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(course_requested(2))
        await booking.hear(
            prepayment_satisfied(2), prepayment_overdue(1), course_requested(1, OTHER), prepayment_satisfied(1)
        )
        assert await booking.types(OTHER) == ["course.accepted"]
        assert (await booking.types(COURSE))[-1] == "session.released"
        assert await booking.values("SELECT state FROM courses WHERE course_id = :id", id=COURSE) == [
            CourseState.ACCEPTED
        ]
        assert await booking.letters() == []


async def test_a_batch_that_is_larger_than_one_statement_keeps_its_order(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        courses = [uuid4() for _ in range(150)]
        batch = [course_requested(1, course, patient_id=str(course), location="albany") for course in courses]
        await booking.hear(*batch, *(course_cancel_requested(course=course) for course in courses))
        types = [await booking.types(course) for course in courses]
        assert types[:4] == [["course.accepted", "session.cancelled", "course.closed"]] * 4
        assert types[4:] == [["course.rejected", "request.rejected"]] * 146


async def test_a_place_that_is_freed_and_taken_in_one_batch_needs_no_second_try(databases: dict[str, str]) -> None:
    tries = 0

    async def counted(connection: Connection, messages: Sequence[Message]) -> Loaded[Course | Closure, Calendar]:
        nonlocal tries
        tries += 1
        return await store.load(room(1), connection, messages)

    async with road(databases["booking"], replace(booking_rules(room(1)), load=counted)) as on:
        await on.hear(course_requested(1))
        tries = 0
        await on.hear(course_cancel_requested(), course_requested(1, OTHER))
        assert tries == 1
        assert await on.types(OTHER) == ["course.accepted"]
