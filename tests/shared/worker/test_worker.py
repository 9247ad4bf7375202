"""The worker on PostgreSQL: its effects, what the database refuses, requests over HTTP, and races settled."""

import asyncio
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.rules.course import Course
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import SessionState
from shared.contract.internal import TimerDue
from shared.decision.decision import Decision, Timer
from shared.decision.message import Message
from shared.postgres.writes import Writes
from shared.tables.outbox import unpack
from shared.worker.worker import InFlight, PayloadConflict
from tests.facts.billing import prepayment_overdue, prepayment_satisfied
from tests.facts.clinic import course_cancel_requested, course_requested, patient_checked_in
from tests.facts.course import COURSE, HOUR, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import room
from tests.stand_ins.road import SetClock, booking_rules, failing_on, record, road

HOLD_ENDS = NOW + 72 * HOUR


async def test_a_request_leaves_its_course_its_event_its_deadline_and_its_place_on_kafka(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        told = record(course_requested(2), "cause")
        await booking.hear(told)
        assert await booking.rows("SELECT state, patient_id, location, hold_expires_at, hold_open FROM courses") == [
            {
                "state": "accepted",
                "patient_id": "patient-1",
                "location": "stella",
                "hold_expires_at": HOLD_ENDS,
                "hold_open": True,
            }
        ]
        assert await booking.values("SELECT starts_at FROM sessions ORDER BY number") == [start(1), start(2)]
        assert await booking.rows("SELECT aggregate, kind, subject, due_at FROM timers") == [
            {"aggregate": str(COURSE), "kind": "hold", "subject": "", "due_at": HOLD_ENDS}
        ]
        assert await booking.values("SELECT next_offset FROM heard") == [told.offset + 1]
        [event] = await booking.rows("SELECT topic, key, headers, published_at FROM outbox")
        headers = dict(unpack(event["headers"]))
        assert (event["topic"], event["key"], event["published_at"]) == ("booking.events", str(COURSE).encode(), None)
        assert headers["ce_type"] == b"booking.course.accepted.v1"
        assert headers["ce_source"] == b"/chairtime/booking"
        assert headers["ce_time"] == b"2026-03-02T15:00:00Z"
        assert await booking.letters() == []


async def test_the_timers_of_a_course_that_is_held_back_wait_too(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules())
    async with road(databases["booking"], rules) as booking:
        await booking.hear(course_requested(1), course_requested(1, OTHER))
        broken.add(str(COURSE))
        await booking.hear(prepayment_satisfied(1))
        booking.clock.time = HOLD_ENDS
        assert await booking.worker.on_timers(HOLD_ENDS) == 1
        assert await booking.types(OTHER) == ["course.accepted", "session.released", "course.closed"]
        assert await booking.values("SELECT aggregate FROM timers") == [str(COURSE)]
        broken.clear()
        first = (await booking.values("SELECT min(id) FROM dead_letters"))[0]
        await booking.worker.retry(first, "olga")
        assert await booking.worker.on_timers(HOLD_ENDS) == 0, "the grant came before the hold's end"
        assert await booking.types(COURSE) == ["course.accepted", "session.confirmed"]


async def test_a_timer_on_which_a_rule_fails_is_kept_and_can_be_retried(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules())
    async with road(databases["booking"], rules) as booking:
        await booking.hear(course_requested(1))
        broken.add(str(COURSE))
        booking.clock.time = HOLD_ENDS
        await booking.worker.on_timers(HOLD_ENDS)
        await booking.hear(patient_checked_in())
        assert [kind for kind, _, _ in await booking.letters()] == ["defect", "held_back"]
        broken.clear()
        first = (await booking.values("SELECT min(id) FROM dead_letters"))[0]
        assert await booking.worker.retry(first, "olga") == 2
        assert await booking.types() == [
            "course.accepted",
            "session.released",
            "course.closed",
            "session.check_in_refused",
        ]


def unpaid_confirmation(
    course: Course | None, message: Message, now: datetime, calendar: Calendar
) -> Decision[Course, Calendar]:
    """A rule that confirms without a grant, which the database refuses."""
    decision = booking_rules().decide(course, message, now, calendar)
    if message.data.key != str(COURSE) or isinstance(message.data, CourseRequested):
        return decision
    sessions = tuple(session._replace(state=SessionState.CONFIRMED, grant=0) for session in decision.state.sessions)
    return decision._replace(state=decision.state._replace(sessions=sessions))


async def test_what_the_database_refuses_is_a_defect_of_the_rule_and_not_tried_for_ever(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"], replace(booking_rules(), decide=unpaid_confirmation)) as booking:
        await booking.hear(course_requested(), course_requested(1, OTHER))
        await booking.hear(prepayment_satisfied(1, course=OTHER), prepayment_satisfied(1), patient_checked_in(1))
        assert [letter[:2] for letter in await booking.letters()] == [
            ("defect", "CheckViolationError"),
            ("held_back", "held_back"),
        ]
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]
        assert await booking.values("SELECT state FROM sessions WHERE course_id = :id", id=COURSE) == ["held", "held"]


async def test_a_timer_whose_outcome_the_database_refuses_is_a_defect_and_holds_up_no_other(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"], replace(booking_rules(), decide=unpaid_confirmation)) as booking:
        await booking.hear(course_requested(1), course_requested(1, OTHER))
        booking.clock.time = HOLD_ENDS
        assert [await booking.worker.on_timers(HOLD_ENDS) for _ in range(3)] == [1, 1, 0]
        assert [letter[:2] for letter in await booking.letters()] == [("defect", "CheckViolationError")]
        assert await booking.types(OTHER) == ["course.accepted", "session.released", "course.closed"]
        assert await booking.values("SELECT count(*) FROM timers") == [0]


async def test_one_bad_timer_does_not_keep_its_deadline_for_others(databases: dict[str, str]) -> None:
    def odd(course: Course | None, message: Message, now: datetime, calendar: Calendar) -> Decision[Course, Calendar]:
        assert not isinstance(message.data, TimerDue)
        return Decision(course or Course(COURSE), timers=(Timer("odd", NOW),))

    async with road(databases["booking"], replace(booking_rules(), decide=odd)) as booking:
        await booking.hear(prepayment_satisfied())
        assert await booking.worker.on_timers(NOW) == 1
        assert await booking.letters() == [("defect", "AssertionError", "open")]
        assert await booking.worker.on_timers(NOW) == 0


async def test_the_same_request_twice_gets_the_same_answer(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        first = await booking.submit(course_requested(), "key")
        assert [event["type"] for event in first] == ["booking.course.accepted.v1"]
        assert await booking.submit(course_requested(), "key") == first
        at_once = await asyncio.gather(
            *(booking.submit(course_cancel_requested(), "other") for _ in range(5)), return_exceptions=True
        )
        answers = [answer for answer in at_once if not isinstance(answer, InFlight)]
        assert answers == [await booking.submit(course_cancel_requested(), "other")] * len(answers) != []
        assert await booking.types() == ["course.accepted", "session.cancelled", "session.cancelled", "course.closed"]


async def test_the_same_key_with_another_request_is_refused(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.submit(course_requested(), "key")
        with pytest.raises(PayloadConflict):
            await booking.submit(course_requested(3), "key")
        assert await booking.types() == ["course.accepted"]


async def test_a_request_on_which_a_rule_fails_leaves_nothing_behind(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules(), COURSE)
    async with road(databases["booking"], rules) as booking:
        with pytest.raises(ZeroDivisionError):
            await booking.submit(course_requested(), "key")
        assert await booking.letters() == []
        broken.clear()
        assert len(await booking.submit(course_requested(), "key")) == 1


async def test_of_twenty_requests_at_once_for_the_last_chair_one_is_accepted(databases: dict[str, str]) -> None:
    rules = booking_rules(room(1))
    async with road(databases["booking"], rules) as one, road(databases["booking"], rules) as two:
        courses = [UUID(int=number) for number in range(1, 21)]
        await asyncio.gather(*((one, two)[n % 2].hear(course_requested(1, course)) for n, course in enumerate(courses)))
        types = await one.types()
        assert sorted(types) == ["course.accepted"] + ["course.rejected"] * 19
        rejected = [data for name, data in await one.published() if "rejected" in name]
        assert {data["code"] for data in rejected} == {"chair_taken"}
        assert await one.letters() == []


async def test_one_patient_at_two_locations_at_once_is_seated_at_one(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for number in range(5):
            there, here = uuid4(), uuid4()
            patient = f"patient-{number}"
            await asyncio.gather(
                one.hear(course_requested(1, here, patient_id=patient)),
                two.hear(course_requested(1, there, patient_id=patient, location="carbondale")),
            )
            assert sorted(await one.types(here) + await one.types(there)) == ["course.accepted", "course.rejected"]
        assert await one.letters() == []


async def test_a_course_that_is_asked_for_twice_at_once_is_booked_once(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            wish = course_requested(1, course, patient_id=str(course), location="albany", companions=())
            await asyncio.gather(one.hear(wish), two.hear(wish), one.submit(wish), two.submit(wish))
            await one.hear(course_cancel_requested(course=course))
            assert await one.types(course) == ["course.accepted", "session.cancelled", "course.closed"]


async def test_a_fact_and_the_request_that_it_waits_for_can_come_at_once(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            wish = course_requested(1, course, patient_id=str(course))
            await asyncio.gather(one.hear(wish), two.hear(prepayment_satisfied(1, course=course)))
            assert await one.types(course) == ["course.accepted", "session.confirmed"]
            await one.hear(course_cancel_requested(course=course))
        assert await one.values("SELECT count(*) FROM timers WHERE kind = 'unknown_course'") == [0]


async def test_a_released_place_is_not_taken_again_behind_a_batch_that_has_it(databases: dict[str, str]) -> None:
    clock = SetClock()
    rules = booking_rules(room(1))
    async with road(databases["booking"], rules, clock) as one, road(databases["booking"], rules, clock) as two:
        for _ in range(10):
            late, other = uuid4(), uuid4()
            await one.hear(course_requested(1, late, patient_id=str(late)), prepayment_overdue(1, late))
            await asyncio.gather(
                one.hear(prepayment_satisfied(1, course=late)),
                two.hear(course_requested(1, other, patient_id=str(other))),
            )
            held = await one.values("SELECT session_id FROM sessions WHERE state IN ('held', 'confirmed')")
            assert len(held) == 1
            answers = (await one.types(late))[3:]
            assert answers == (["session.confirmed"] if held == [session_id(1, late)] else ["session.released"])
            await one.hear(course_cancel_requested(course=late), course_cancel_requested(course=other))
        assert await one.letters() == []


async def test_a_failed_save_leaves_no_trace_of_the_batch(databases: dict[str, str]) -> None:
    tried = 0

    def lost(writes: Writes, *told: object) -> None:
        nonlocal tried
        tried += 1
        raise ConnectionResetError

    async with road(databases["booking"], replace(booking_rules(), save=lost)) as booking:
        with pytest.raises(ConnectionResetError):
            await booking.hear(course_requested())
        assert tried == 1
        for table in ("inbox", "heard", "outbox", "courses", "timers", "dead_letters"):
            assert await booking.values(f"SELECT count(*) FROM {table}") == [0]


async def test_two_that_speak_of_a_known_course_at_once_are_decided_one_after_the_other(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            await one.hear(course_requested(1, course, patient_id=str(course)))
            await asyncio.gather(
                one.hear(prepayment_satisfied(1, course=course)), two.hear(course_cancel_requested(course=course))
            )
            versions = [data["version"] for _, data in await one.published(course) if "version" in data]
            assert len(versions) == len(set(versions)), await one.types(course)
            await one.hear(course_cancel_requested(course=course))
