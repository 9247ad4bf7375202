"""The worker on PostgreSQL: one effect a message, defects fenced in, bad input out of the way, races settled."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.rules.closures import Closure
from services.booking.rules.course import Course, CourseState
from services.booking.store import courses as store
from shared.contract.clinic import ContactUpdated, CourseRequested
from shared.contract.closed_sets import SessionState
from shared.contract.internal import PersonErased, TimerDue
from shared.contract.register import EVENTS
from shared.decision.decision import Decision, Timer
from shared.decision.message import Message
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables.outbox import unpack
from shared.worker.service_rules import Loaded
from shared.worker.worker import HeldBack, InFlight, PayloadConflict
from tests.booking_story import (
    COURSE,
    DAY,
    HOUR,
    NOW,
    OTHER,
    cancel,
    checked_in,
    overdue,
    requested,
    room,
    satisfied,
    session_id,
    start,
)
from tests.road import SetClock, booking_rules, failing_on, raw, record, road

HOLD_ENDS = NOW + 72 * HOUR


async def test_a_request_leaves_its_course_its_event_its_deadline_and_its_place_on_kafka(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        told = record(requested(2), "cause")
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


async def test_what_is_saved_is_what_is_loaded(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(requested(2, package="induction", companions=("driver",)), satisfied(1))
        await booking.hear(satisfied(1, course=OTHER))
        before = await booking.rows("SELECT * FROM courses ORDER BY course_id")
        sessions = await booking.rows("SELECT * FROM sessions ORDER BY number")
        await booking.hear(cancel(2))
        await booking.hear(requested(2, package="induction", companions=("driver",)))
        after = await booking.rows("SELECT * FROM courses ORDER BY course_id")
        assert after == before
        assert (await booking.rows("SELECT * FROM sessions ORDER BY number"))[0] == sessions[0]
        await booking.hear(requested(1, OTHER))
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]


async def test_a_repeat_in_the_same_batch_or_later_has_no_effect(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(record(requested(), "a"), record(satisfied(), "b"), record(satisfied(), "b"))
        await booking.hear(record(satisfied(), "b"), record(requested(), "a"))
        assert await booking.types() == ["course.accepted", "session.confirmed"]
        assert await booking.values("SELECT id FROM inbox ORDER BY id") == ["a", "b"]
        assert await booking.rows("SELECT * FROM attention") == []


async def test_a_repeat_is_one_however_its_json_is_written(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        first = record(requested(), "a")
        assert first.value is not None
        await booking.hear(first)
        await booking.hear(first._replace(value=first.value.replace(b'":', b'" :  ').replace(b"{", b'{"new": 1, ')))
        assert await booking.rows("SELECT * FROM attention") == []


class GrownCourseRequested(CourseRequested):
    """The type after a release that gave it an optional field."""

    note: str | None = None


async def test_a_repeat_is_one_although_its_type_has_grown_in_between(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(record(requested(), "a"))
        monkeypatch.setitem(EVENTS, CourseRequested.type, GrownCourseRequested)
        await booking.hear(record(requested(), "a"))
        assert await booking.rows("SELECT * FROM attention") == []


@pytest.mark.parametrize("together", [True, False])
async def test_an_id_that_comes_again_with_another_payload_is_not_applied_and_goes_to_a_person(
    databases: dict[str, str], together: bool
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(requested())
        one, two = record(satisfied(1), "a"), record(satisfied(2), "a")
        if together:
            await booking.hear(one, two)
        else:
            await booking.hear(one)
            await booking.hear(two)
        assert await booking.types() == ["course.accepted", "session.confirmed"]
        assert await booking.values("SELECT state FROM sessions ORDER BY number") == ["confirmed", "held"]
        [row] = await booking.rows("SELECT kind, aggregate, subject FROM attention")
        assert row == {"kind": "payload_conflict", "aggregate": str(COURSE), "subject": "a"}


async def test_types_that_are_not_ours_and_newer_ones_of_our_services_are_passed_over(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        known = record(satisfied(), "a")
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


async def test_an_unreadable_message_is_dead_lettered_once_to_the_byte_and_blocks_nothing(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        bad = raw("clinic.requests", b"\xff\x00{", [("x", b"\xfe"), ("y", None)], b"\x00key")
        await booking.hear(requested(), bad, satisfied())
        await booking.hear(bad)
        assert await booking.types() == ["course.accepted", "session.confirmed"]
        assert await booking.letters() == [("unreadable", "bad_header", "open")]
        [letter] = await booking.rows("SELECT key, value, headers, kafka_offset FROM dead_letters")
        assert (letter["key"], letter["value"], letter["kafka_offset"]) == (bad.key, bad.value, bad.offset)
        assert tuple(unpack(letter["headers"])) == bad.headers
        [out] = await booking.rows("SELECT key, value, headers FROM outbox WHERE topic = 'booking.dead-letters'")
        assert (out["key"], out["value"]) == (bad.key, bad.value)
        assert unpack(out["headers"]) == [
            *bad.headers,
            ("x-error-type", b"bad_header"),
            ("x-error", b"bad_header: a header is not UTF-8"),
            ("x-topic", b"clinic.requests"),
            ("x-partition", b"0"),
            ("x-offset", str(bad.offset).encode()),
        ]


async def test_a_batch_of_nothing_but_bad_input_is_done_with(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        far = b'{"course_id": "%s", "session_id": "%s", "at": "9999-12-31T23:59:59-12:00"}'
        headers = list(record(checked_in(), "far").headers)
        await booking.hear(
            raw("clinic.requests", None),
            raw("clinic.sessions", far % (str(COURSE).encode(), str(OTHER).encode()), headers, str(COURSE).encode()),
            raw("clinic.sessions", b"[" * 5000 + b"]" * 5000, headers, str(COURSE).encode()),
        )
        assert [kind for kind, _, _ in await booking.letters()] == ["unreadable"] * 3
        assert await booking.values("SELECT count(*) FROM heard") == [2]


async def test_bytes_of_a_personal_topic_stay_in_the_database(databases: dict[str, str]) -> None:
    rules = replace(
        booking_rules(),
        service="reminders",
        hears={"clinic.contacts": frozenset({ContactUpdated.type, PersonErased.type})},
    )
    async with road(databases["booking"], rules) as booking:
        secret = raw("clinic.contacts", b'{"phone": "+16185550199"}', [("ce_id", b"c")], b"contact-7")
        await booking.hear(secret)
        assert await booking.values("SELECT value FROM dead_letters") == [secret.value]
        [out] = await booking.rows("SELECT key, value, headers FROM outbox")
        assert (out["key"], out["value"]) == (None, None)
        assert b"16185550199" not in out["headers"]
        assert dict(unpack(out["headers"]))["x-topic"] == b"clinic.contacts"


async def test_a_rule_that_fails_holds_back_its_course_alone_until_it_is_retried(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules(), COURSE)
    async with road(databases["booking"], rules) as booking:
        await booking.hear(requested(), requested(1, OTHER), satisfied(1))
        await booking.hear(satisfied(2), satisfied(1, course=OTHER), record(satisfied(1), "repeat"))
        assert await booking.types(COURSE) == []
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]
        kinds = [kind for kind, _, _ in await booking.letters()]
        assert kinds == ["defect", "held_back", "held_back", "held_back"]
        [out] = await booking.rows("SELECT value, headers FROM outbox WHERE topic = 'booking.dead-letters'")
        assert b"secret" not in out["headers"]
        assert dict(unpack(out["headers"]))["x-error-type"] == b"ZeroDivisionError"
        with pytest.raises(HeldBack):
            await booking.submit(cancel())

        first = (await booking.values("SELECT min(id) FROM dead_letters"))[0]
        with pytest.raises(ZeroDivisionError):
            await booking.worker.retry(first, "olga")
        assert {status for _, _, status in await booking.letters()} == {"open"}

        broken.clear()
        assert await booking.worker.retry(first, "olga") == 4
        assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.confirmed"]
        assert {status for _, _, status in await booking.letters()} == {"retried"}
        assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.confirmed"]
        await booking.submit(cancel())
        with pytest.raises(LookupError):
            await booking.worker.retry(first, "olga")


async def test_what_is_discarded_is_gone_and_what_waited_behind_it_goes_on(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules())
    async with road(databases["booking"], rules) as booking:
        await booking.hear(requested(2))
        broken.add(str(COURSE))
        await booking.hear(satisfied(1))
        await booking.hear(satisfied(2), cancel(1))
        broken.clear()
        first = (await booking.values("SELECT min(id) FROM dead_letters"))[0]
        waiting = await booking.worker.discard(first, "olga", "paid twice")
        assert waiting is not None
        assert await booking.worker.retry(waiting, "olga") == 2
        assert await booking.types() == ["course.accepted", "session.confirmed", "session.cancelled"]
        assert [status for _, _, status in await booking.letters()] == ["discarded", "retried", "retried"]
        assert await booking.rows("SELECT ended_by, reason FROM dead_letters WHERE status = 'discarded'") == [
            {"ended_by": "olga", "reason": "paid twice"}
        ]


async def test_discarding_one_that_only_waits_leaves_the_defect_and_the_others(databases: dict[str, str]) -> None:
    rules, _ = failing_on(booking_rules(), COURSE)
    async with road(databases["booking"], rules) as booking:
        await booking.hear(requested(2))
        await booking.hear(satisfied(1), satisfied(2))
        second = (await booking.values("SELECT id FROM dead_letters ORDER BY id"))[1]
        assert await booking.worker.discard(second, "olga", "not wanted") is None
        assert [status for _, _, status in await booking.letters()] == ["open", "discarded", "open"]


async def test_the_timers_of_a_course_that_is_held_back_wait_too(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules())
    async with road(databases["booking"], rules) as booking:
        await booking.hear(requested(1), requested(1, OTHER))
        broken.add(str(COURSE))
        await booking.hear(satisfied(1))
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
        await booking.hear(requested(1))
        broken.add(str(COURSE))
        booking.clock.time = HOLD_ENDS
        await booking.worker.on_timers(HOLD_ENDS)
        await booking.hear(checked_in())
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


async def test_bad_input_that_a_newer_release_can_read_has_one_effect(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(requested())
        with monkeypatch.context() as older:
            older.delitem(EVENTS, "clinic.session.checked_in.v1")
            await booking.hear(record(checked_in(1), "one"), record(checked_in(2), "two"))
        assert await booking.letters() == [("unreadable", "unknown_type", "open")] * 2
        one, two = await booking.values("SELECT id FROM dead_letters ORDER BY id")
        await booking.worker.retry(one, "olga")
        await booking.hear(record(checked_in(1), "one"), record(checked_in(2), "two"))
        await booking.worker.retry(two, "olga")
        assert await booking.types() == ["course.accepted"] + ["session.check_in_refused"] * 2
        assert await booking.letters() == [("unreadable", "unknown_type", "retried")] * 2


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
        await booking.hear(requested(), requested(1, OTHER))
        await booking.hear(satisfied(1, course=OTHER), satisfied(1), checked_in(1))
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
        await booking.hear(requested(1), requested(1, OTHER))
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
        await booking.hear(satisfied())
        assert await booking.worker.on_timers(NOW) == 1
        assert await booking.letters() == [("defect", "AssertionError", "open")]
        assert await booking.worker.on_timers(NOW) == 0


async def test_the_same_request_twice_gets_the_same_answer(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        first = await booking.submit(requested(), "key")
        assert [event["type"] for event in first] == ["booking.course.accepted.v1"]
        assert await booking.submit(requested(), "key") == first
        at_once = await asyncio.gather(*(booking.submit(cancel(), "other") for _ in range(5)), return_exceptions=True)
        answers = [answer for answer in at_once if not isinstance(answer, InFlight)]
        assert answers == [await booking.submit(cancel(), "other")] * len(answers) != []
        assert await booking.types() == ["course.accepted", "session.cancelled", "session.cancelled", "course.closed"]


async def test_the_same_key_with_another_request_is_refused(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.submit(requested(), "key")
        with pytest.raises(PayloadConflict):
            await booking.submit(requested(3), "key")
        assert await booking.types() == ["course.accepted"]


async def test_a_request_on_which_a_rule_fails_leaves_nothing_behind(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules(), COURSE)
    async with road(databases["booking"], rules) as booking:
        with pytest.raises(ZeroDivisionError):
            await booking.submit(requested(), "key")
        assert await booking.letters() == []
        broken.clear()
        assert len(await booking.submit(requested(), "key")) == 1


async def test_of_twenty_requests_at_once_for_the_last_chair_one_is_accepted(databases: dict[str, str]) -> None:
    rules = booking_rules(room(1))
    async with road(databases["booking"], rules) as one, road(databases["booking"], rules) as two:
        courses = [UUID(int=number) for number in range(1, 21)]
        await asyncio.gather(*((one, two)[n % 2].hear(requested(1, course)) for n, course in enumerate(courses)))
        types = await one.types()
        assert sorted(types) == ["course.accepted"] + ["course.rejected"] * 19
        rejected = [data for name, data in await one.published() if "rejected" in name]
        assert {data["code"] for data in rejected} == {"chair_taken"}
        assert await one.letters() == []


async def test_two_requests_of_one_batch_see_each_other(databases: dict[str, str]) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(requested(1), requested(1, OTHER))
        assert await booking.types(COURSE) == ["course.accepted"]
        assert await booking.types(OTHER) == ["course.rejected"]


async def test_one_patient_at_two_locations_at_once_is_seated_at_one(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for number in range(5):
            there, here = uuid4(), uuid4()
            patient = f"patient-{number}"
            await asyncio.gather(
                one.hear(requested(1, here, patient_id=patient)),
                two.hear(requested(1, there, patient_id=patient, location="carbondale")),
            )
            assert sorted(await one.types(here) + await one.types(there)) == ["course.accepted", "course.rejected"]
        assert await one.letters() == []


async def test_a_course_that_is_asked_for_twice_at_once_is_booked_once(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            wish = requested(1, course, patient_id=str(course), location="albany", companions=())
            await asyncio.gather(one.hear(wish), two.hear(wish), one.submit(wish), two.submit(wish))
            await one.hear(cancel(course=course))
            assert await one.types(course) == ["course.accepted", "session.cancelled", "course.closed"]


async def test_a_fact_and_the_request_that_it_waits_for_can_come_at_once(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            wish = requested(1, course, patient_id=str(course))
            await asyncio.gather(one.hear(wish), two.hear(satisfied(1, course=course)))
            assert await one.types(course) == ["course.accepted", "session.confirmed"]
            await one.hear(cancel(course=course))
        assert await one.values("SELECT count(*) FROM timers WHERE kind = 'unknown_course'") == [0]


async def test_a_released_place_is_not_taken_again_behind_a_batch_that_has_it(databases: dict[str, str]) -> None:
    clock = SetClock()
    rules = booking_rules(room(1))
    async with road(databases["booking"], rules, clock) as one, road(databases["booking"], rules, clock) as two:
        for _ in range(10):
            late, other = uuid4(), uuid4()
            await one.hear(requested(1, late, patient_id=str(late)), overdue(1, late))
            await asyncio.gather(
                one.hear(satisfied(1, course=late)), two.hear(requested(1, other, patient_id=str(other)))
            )
            held = await one.values("SELECT session_id FROM sessions WHERE state IN ('held', 'confirmed')")
            assert len(held) == 1
            answers = (await one.types(late))[3:]
            assert answers == (["session.confirmed"] if held == [session_id(1, late)] else ["session.released"])
            await one.hear(cancel(course=late), cancel(course=other))
        assert await one.letters() == []


async def test_within_one_batch_a_place_is_released_and_taken_by_who_comes_next(databases: dict[str, str]) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(requested(1))
        await booking.hear(cancel(), requested(1, OTHER), satisfied(1, course=OTHER))
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]


async def test_within_one_batch_a_place_is_released_taken_by_another_and_asked_for_again(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"], booking_rules(room(1))) as booking:
        await booking.hear(requested(2))
        await booking.hear(satisfied(2), overdue(1), requested(1, OTHER), satisfied(1))
        assert await booking.types(OTHER) == ["course.accepted"]
        assert (await booking.types(COURSE))[-1] == "session.released"
        assert await booking.values("SELECT state FROM courses WHERE course_id = :id", id=COURSE) == [
            CourseState.ACCEPTED
        ]
        assert await booking.letters() == []


async def test_a_batch_that_is_larger_than_one_statement_keeps_its_order(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        courses = [uuid4() for _ in range(150)]
        batch = [requested(1, course, patient_id=str(course), location="albany") for course in courses]
        await booking.hear(*batch, *(cancel(course=course) for course in courses))
        types = [await booking.types(course) for course in courses]
        assert types[:4] == [["course.accepted", "session.cancelled", "course.closed"]] * 4
        assert types[4:] == [["course.rejected", "request.rejected"]] * 146


async def test_a_failed_save_leaves_no_trace_of_the_batch(databases: dict[str, str]) -> None:
    tried = 0

    def lost(writes: Writes, *told: object) -> None:
        nonlocal tried
        tried += 1
        raise ConnectionResetError

    async with road(databases["booking"], replace(booking_rules(), save=lost)) as booking:
        with pytest.raises(ConnectionResetError):
            await booking.hear(requested())
        assert tried == 1
        for table in ("inbox", "heard", "outbox", "courses", "timers", "dead_letters"):
            assert await booking.values(f"SELECT count(*) FROM {table}") == [0]


async def test_a_session_id_that_another_course_has_is_refused(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(requested(1))
        theirs = requested(1, OTHER).model_dump() | {
            "sessions": [{"session_id": session_id(1), "starts_at": start(2) + DAY}]
        }
        await booking.hear(CourseRequested.model_validate(theirs))
        assert await booking.types(OTHER) == ["course.rejected"]
        assert await booking.letters() == []


async def test_two_that_speak_of_a_known_course_at_once_are_decided_one_after_the_other(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as one, road(databases["booking"]) as two:
        for _ in range(10):
            course = uuid4()
            await one.hear(requested(1, course, patient_id=str(course)))
            await asyncio.gather(one.hear(satisfied(1, course=course)), two.hear(cancel(course=course)))
            versions = [data["version"] for _, data in await one.published(course) if "version" in data]
            assert len(versions) == len(set(versions)), await one.types(course)
            await one.hear(cancel(course=course))


async def test_a_place_that_is_freed_and_taken_in_one_batch_needs_no_second_try(databases: dict[str, str]) -> None:
    tries = 0

    async def counted(connection: Connection, messages: Sequence[Message]) -> Loaded[Course | Closure, Calendar]:
        nonlocal tries
        tries += 1
        return await store.load(room(1), connection, messages)

    async with road(databases["booking"], replace(booking_rules(room(1)), load=counted)) as on:
        await on.hear(requested(1))
        tries = 0
        await on.hear(cancel(), requested(1, OTHER))
        assert tries == 1
        assert await on.types(OTHER) == ["course.accepted"]
