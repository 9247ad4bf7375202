"""Messages without effect are kept to the byte, hold back their course alone, and can be retried or discarded."""

from dataclasses import replace

import pytest

from shared.contract.clinic import ContactUpdated
from shared.contract.internal import PersonErased
from shared.contract.register import EVENTS
from shared.tables.outbox import unpack
from shared.worker.worker import HeldBack
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import (
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    session_cancel_requested,
)
from tests.facts.course import COURSE, OTHER
from tests.stand_ins.road import booking_rules, failing_on, raw, record, road


async def test_an_unreadable_message_is_dead_lettered_once_to_the_byte_and_blocks_nothing(
    databases: dict[str, str],
) -> None:
    async with road(databases["booking"]) as booking:
        bad = raw("clinic.requests", b"\xff\x00{", [("x", b"\xfe"), ("y", None)], b"\x00key")
        await booking.hear(course_requested(), bad, prepayment_satisfied())
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
        headers = list(record(patient_checked_in(), "far").headers)
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
        await booking.hear(course_requested(), course_requested(1, OTHER), prepayment_satisfied(1))
        await booking.hear(
            prepayment_satisfied(2), prepayment_satisfied(1, course=OTHER), record(prepayment_satisfied(1), "repeat")
        )
        assert await booking.types(COURSE) == []
        assert await booking.types(OTHER) == ["course.accepted", "session.confirmed"]
        kinds = [kind for kind, _, _ in await booking.letters()]
        assert kinds == ["defect", "held_back", "held_back", "held_back"]
        [out] = await booking.rows("SELECT value, headers FROM outbox WHERE topic = 'booking.dead-letters'")
        assert b"secret" not in out["headers"]
        assert dict(unpack(out["headers"]))["x-error-type"] == b"ZeroDivisionError"
        with pytest.raises(HeldBack):
            await booking.submit(course_cancel_requested())

        first = (await booking.values("SELECT min(id) FROM dead_letters"))[0]
        with pytest.raises(ZeroDivisionError):
            await booking.worker.retry(first, "olga")
        assert {status for _, _, status in await booking.letters()} == {"open"}

        broken.clear()
        assert await booking.worker.retry(first, "olga") == 4
        assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.confirmed"]
        assert {status for _, _, status in await booking.letters()} == {"retried"}
        assert await booking.types(COURSE) == ["course.accepted", "session.confirmed", "session.confirmed"]
        await booking.submit(course_cancel_requested())
        with pytest.raises(LookupError):
            await booking.worker.retry(first, "olga")


async def test_what_is_discarded_is_gone_and_what_waited_behind_it_goes_on(databases: dict[str, str]) -> None:
    rules, broken = failing_on(booking_rules())
    async with road(databases["booking"], rules) as booking:
        await booking.hear(course_requested(2))
        broken.add(str(COURSE))
        await booking.hear(prepayment_satisfied(1))
        await booking.hear(prepayment_satisfied(2), session_cancel_requested(1))
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
        await booking.hear(course_requested(2))
        await booking.hear(prepayment_satisfied(1), prepayment_satisfied(2))
        second = (await booking.values("SELECT id FROM dead_letters ORDER BY id"))[1]
        assert await booking.worker.discard(second, "olga", "not wanted") is None
        assert [status for _, _, status in await booking.letters()] == ["open", "discarded", "open"]


async def test_bad_input_that_a_newer_release_can_read_has_one_effect(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(course_requested())
        with monkeypatch.context() as older:
            known = {name: model for name, model in EVENTS.items() if name != "clinic.session.checked_in.v1"}
            older.setattr("shared.kafka.envelope.EVENTS", known)  # not the register itself, whose order would change
            await booking.hear(record(patient_checked_in(1), "one"), record(patient_checked_in(2), "two"))
        assert await booking.letters() == [("unreadable", "unknown_type", "open")] * 2
        one, two = await booking.values("SELECT id FROM dead_letters ORDER BY id")
        await booking.worker.retry(one, "olga")
        await booking.hear(record(patient_checked_in(1), "one"), record(patient_checked_in(2), "two"))
        await booking.worker.retry(two, "olga")
        assert await booking.types() == ["course.accepted"] + ["session.check_in_refused"] * 2
        assert await booking.letters() == [("unreadable", "unknown_type", "retried")] * 2
