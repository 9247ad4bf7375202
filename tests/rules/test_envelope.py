"""Every kind of record that cannot be read: the reason by its code, and never a word of what stood in it."""

import contextlib
import json
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.clinic import PaymentCaptured
from shared.contract.internal import PersonErased
from shared.contract.register import EVENTS
from shared.decision.message import NAMESPACE, Message, Record, derived_id, event_id, from_stored, headers_of, to_stored
from shared.kafka.envelope import NotForUs, Unreadable, read

NOW = datetime(2026, 11, 3, 17, tzinfo=UTC)
COURSE = "7d9f6f0e-51a1-4c1c-9d3e-0c7a5a0f6b01"
SESSION = "7d9f6f0e-51a1-4c1c-9d3e-0c7a5a0f6c01"
CANARY = "Robin Q Canary 6305550188"
"""Stands in every record below; a reason that holds a part of it has quoted the record."""

PAYMENT = {
    "payment_id": "till-88120",
    "course_id": COURSE,
    "amount_cents": 347500,
    "currency": "USD",
    "method": "card",
    "captured_at": "2026-11-03T16:12:09Z",
}
REQUEST = {
    "course_id": COURSE,
    "patient_id": "patient-2041",
    "location": "stella",
    "treatment": "ketamine_induction",
    "payer": "self_pay",
}
SESSIONS = [{"session_id": SESSION, "starts_at": "2026-11-09T16:00:00Z"}]
CONTACT = {
    "contact_id": "patient-2041",
    "kind": "patient",
    "phone": "+16305550188",
    "locale": "en-US",
    "time_zone": "America/Chicago",
    "texting": {"allowed": True, "wording": "w-1", "source": "intake", "recorded_at": "2026-11-02T15:00:00Z"},
}
HEADERS: Mapping[str, bytes] = {
    "ce_specversion": b"1.0",
    "ce_id": b"till-1",
    "ce_type": b"clinic.payment.captured.v1",
    "ce_source": b"/clinics/stella/till",
    "ce_subject": COURSE.encode(),
    "ce_time": b"2026-11-03T16:12:10Z",
    "content-type": b"application/json",
    "x-note": CANARY.encode(),
}


def payment(changes: Mapping[str, Any] | None = None, **attributes: bytes | None) -> Record:
    """A captured payment with some fields and CloudEvents attributes changed; an attribute that is None is missing."""
    headers = HEADERS | {f"ce_{name}": value for name, value in attributes.items()}
    return Record(
        topic="clinic.payments",
        partition=3,
        offset=7,
        timestamp_ms=1762189200000,
        key=COURSE.encode(),
        value=json.dumps({"note": CANARY} | PAYMENT | dict(changes or {})).encode(),
        headers=tuple((name, value) for name, value in headers.items() if value is not None),
    )


def raw(text: bytes) -> Record:
    """A captured payment whose value is these bytes."""
    return payment()._replace(value=text)


def with_header(name: str, value: bytes | None) -> Record:
    return payment()._replace(headers=(*payment().headers, (name, value)))


def structured(changes: Mapping[str, Any] | None = None, without: str = "") -> Record:
    """A captured payment in structured mode."""
    document = {
        "specversion": "1.0",
        "id": "till-1",
        "type": "clinic.payment.captured.v1",
        "source": "/clinics/stella/till",
        "note": CANARY,
        "data": {"note": CANARY} | PAYMENT,
    } | dict(changes or {})
    document.pop(without, None)
    return payment()._replace(
        value=json.dumps(document).encode(),
        headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),),
    )


def about(type_name: str, data: Mapping[str, Any], key: str = COURSE) -> Record:
    """A record of another type, on its own topic."""
    record = payment(type=type_name.encode(), subject=None)
    value = json.dumps({"note": CANARY} | dict(data)).encode()
    return record._replace(topic=EVENTS[type_name].topic, key=key.encode(), value=value)


def request(changes: Mapping[str, Any]) -> Record:
    return about("clinic.course.requested.v1", REQUEST | dict(changes))


def contact(changes: Mapping[str, Any]) -> Record:
    return about("clinic.contact.updated.v1", CONTACT | dict(changes), "patient-2041")


def deep(levels: int) -> bytes:
    return b"[" * levels + b'"' + CANARY.encode() + b'"' + b"]" * levels


def payment_with(field: bytes) -> Record:
    """A captured payment with one more field, as it would be written by hand; the last of two equal names counts."""
    return raw(json.dumps(PAYMENT).encode()[:-1] + b"," + field + b"}")


UNREADABLE: dict[str, tuple[str, Record]] = {
    # the value as a whole
    "null value on clinic.requests": ("null_value", request({"sessions": SESSIONS})._replace(value=None)),
    "null value on a topic of ours": ("null_value", payment()._replace(topic="booking.events", value=None)),
    "null value without a key": ("wrong_key", contact({})._replace(value=None, key=None)),
    "null value with an empty key": ("wrong_key", contact({})._replace(value=None, key=b"")),
    "null value with a key of 65 characters": ("wrong_key", contact({})._replace(value=None, key=b"k" * 65)),
    "null value with NUL in the key": ("wrong_key", contact({})._replace(value=None, key=CANARY.encode() + b"\x00")),
    "null value with a key that is not UTF-8": ("wrong_key", contact({})._replace(value=None, key=b"\xff")),
    "empty value": ("not_json", raw(b"")),
    "value that is not UTF-8": ("not_json", raw(b'{"note": "\xff\xfe ' + CANARY.encode() + b'"}')),
    "half a surrogate pair": ("not_json", payment({"payment_id": "\ud800"})),
    "not JSON": ("not_json", raw(CANARY.encode())),
    "truncated JSON": ("not_json", raw(payment().value[:-9] if payment().value else b"")),
    "two documents": ("not_json", raw(b"{}{}")),
    "JSON array": ("invalid", raw(json.dumps([CANARY]).encode())),
    "JSON string": ("invalid", raw(json.dumps(CANARY).encode())),
    "JSON null": ("invalid", raw(b"null")),
    "empty object": ("invalid", raw(b"{}")),
    "1 MB that is not ours": ("invalid", raw(json.dumps({"note": CANARY * 40_000}).encode())),
    "nested 1000 deep": ("not_json", payment_with(b'"more": ' + deep(1000))),
    "nested 100000 deep": ("not_json", payment_with(b'"more": ' + deep(100_000))),
    # headers
    "without ce_specversion": ("missing_header", payment(specversion=None)),
    "without ce_id": ("missing_header", payment(id=None)),
    "without ce_type": ("missing_header", payment(type=None)),
    "without ce_source": ("missing_header", payment(source=None)),
    "without any header": ("missing_header", payment()._replace(headers=())),
    "empty id": ("missing_header", payment(id=b"")),
    "id of 65 characters": ("bad_id", payment(id=b"i" * 65)),
    "bidi mark in the id": ("bad_id", payment(id=f"{CANARY}\u202e".encode())),
    "line break in the id": ("bad_id", payment(id=f"{CANARY}\n".encode())),
    "NUL in the id": ("bad_header", payment(id=b"till\x00")),
    "NUL in the source": ("bad_header", payment(source=CANARY.encode() + b"\x00")),
    "null header": ("bad_header", with_header("ce_traceparent", None)),
    "null header of somebody else": ("bad_header", with_header("x-other", None)),
    "header that is not UTF-8": ("bad_header", with_header("ce_traceparent", CANARY.encode() + b"\xff")),
    "header of somebody else that is not UTF-8": ("bad_header", with_header("x-other", b"\xff\xfe")),
    "specversion 0.3": ("unknown_specversion", payment(specversion=b"0.3")),
    "specversion that is none": ("unknown_specversion", payment(specversion=CANARY.encode())),
    "unknown type": ("unknown_type", payment(type=b"clinic.payment.guessed.v1")),
    "future version": ("unknown_type", payment(type=b"clinic.payment.captured.v2")),
    "type of another topic": ("unknown_type", payment(type=b"clinic.session.missed.v1")),
    "type of ours on a topic of clinics": ("unknown_type", payment(type=b"billing.payment.recorded.v1")),
    "type of what we only tell ourselves": ("unknown_type", payment(type=b"chairtime.timer.due")),
    "type that is none": ("unknown_type", payment(type=CANARY.encode())),
    "type that is a phone number": ("unknown_type", payment(type=b"6305550188")),
    "type that is a name": ("unknown_type", payment(type=b"robin.canary")),
    "time without an offset": ("bad_time", payment(time=b"2026-11-03T16:12:10")),
    "time that is a day": ("bad_time", payment(time=b"2026-11-03")),
    "time that is none": ("bad_time", payment(time=CANARY.encode())),
    "time before the calendar begins": ("bad_time", payment(time=b"0001-01-01T00:00:00+05:00")),
    "time after the calendar ends": ("bad_time", payment(time=b"9999-12-31T23:59:59-05:00")),
    # the key
    "no key": ("wrong_key", payment()._replace(key=None)),
    "another course as key": ("wrong_key", payment()._replace(key=SESSION.encode())),
    "patient as key of a course": ("wrong_key", payment()._replace(key=CANARY.encode())),
    "key that is not UTF-8": ("wrong_key", payment()._replace(key=b"\xff")),
    "course id as 16 bytes": ("wrong_key", payment()._replace(key=bytes.fromhex(COURSE.replace("-", "")))),
    "subject is not the key": ("wrong_subject", payment(subject=CANARY.encode())),
    # fields
    "missing field": ("invalid", raw(json.dumps({"note": CANARY} | PAYMENT | {"method": None}).encode())),
    "unknown member of a set": ("invalid", payment({"method": CANARY})),
    "NUL in an id": ("invalid", payment({"payment_id": f"{CANARY}\x00"})),
    "bidi mark in an id": ("invalid", payment({"payment_id": f"{CANARY}\u202e"})),
    "empty id in the data": ("invalid", payment({"payment_id": ""})),
    "id of 65 characters in the data": ("invalid", payment({"payment_id": "p" * 65})),
    "number as id": ("invalid", payment({"payment_id": 6305550188})),
    "course id that is no UUID": ("invalid", payment({"course_id": CANARY})),
    "NUL in a name": ("invalid", request({"sessions": SESSIONS, "location": f"{CANARY}\x00"})),
    "amount NaN": ("invalid", payment_with(b'"amount_cents": NaN')),
    "amount infinite": ("invalid", payment_with(b'"amount_cents": Infinity')),
    "amount negative": ("invalid", payment({"amount_cents": -1})),
    "amount zero": ("invalid", payment({"amount_cents": 0})),
    "amount 1e30": ("invalid", payment_with(b'"amount_cents": 1e30')),
    "amount of forty digits": ("invalid", payment({"amount_cents": 10**40})),
    "amount of 6000 digits": ("not_json", payment_with(b'"amount_cents": ' + b"9" * 6000)),
    "amount of sub-cents": ("invalid", payment({"amount_cents": 100.5})),
    "amount with a decimal point": ("invalid", payment({"amount_cents": 100.0})),
    "amount as text": ("invalid", payment({"amount_cents": "100"})),
    "amount true": ("invalid", payment({"amount_cents": True})),
    "currency in words": ("invalid", payment({"currency": CANARY})),
    "naive instant": ("invalid", payment({"captured_at": "2026-11-03T16:12:09"})),
    "instant that is a day": ("invalid", payment({"captured_at": "2026-11-03"})),
    "instant as a number": ("invalid", payment({"captured_at": 1762186329})),
    "instant as a number in text": ("invalid", payment({"captured_at": "1762186329"})),
    "instant before the calendar begins": ("invalid", payment({"captured_at": "0001-01-01T00:00:00+05:00"})),
    "instant after the calendar ends": ("invalid", payment({"captured_at": "9999-12-31T23:59:59-05:00"})),
    "instant with an offset of a day": ("invalid", payment({"captured_at": "2026-11-03T16:12:09+24:00"})),
    "day as a number": ("invalid", request({"plan": {"first_day": 86400}})),
    "day that does not exist": ("invalid", request({"plan": {"first_day": "2026-02-30"}})),
    "sessions and plan": ("invalid", request({"sessions": SESSIONS, "plan": {"first_day": "2026-11-09"}})),
    "neither sessions nor plan": ("invalid", request({})),
    "no session in sessions": ("invalid", request({"sessions": []})),
    "one session twice": ("invalid", request({"sessions": SESSIONS * 2})),
    "201 sessions": ("invalid", request({"sessions": SESSIONS * 201})),
    "end before start": (
        "invalid",
        about(
            "clinic.session.completed.v1",
            {
                "course_id": COURSE,
                "session_id": SESSION,
                "started_at": "2026-11-09T17:00:00Z",
                "ended_at": "2026-11-09T16:00:00Z",
            },
        ),
    ),
    "phone that is not E.164": ("invalid", contact({"phone": "(630) 555-0188"})),
    "phone with a line break behind it": ("invalid", contact({"phone": "+16305550188\n"})),
    "consent that is not true or false": ("invalid", contact({"texting": CONTACT["texting"] | {"allowed": "yes"}})),
    "contact with the key of another": ("wrong_key", contact({})._replace(key=CANARY.encode())),
    # structured mode
    "structured: not JSON": ("not_json", structured()._replace(value=CANARY.encode())),
    "structured: an array": ("not_structured", structured()._replace(value=json.dumps([CANARY]).encode())),
    "structured: without data": ("not_structured", structured(without="data")),
    "structured: data is null": ("invalid", structured({"data": None})),
    "structured: data is text": ("invalid", structured({"data": CANARY})),
    "structured: without id": ("missing_header", structured(without="id")),
    "structured: id is a number": ("bad_header", structured({"id": 6305550188})),
    "structured: subject is a number": ("bad_header", structured({"subject": 6305550188})),
    "structured: time is a number": ("bad_header", structured({"time": 1762186329})),
    "structured: specversion 0.3": ("unknown_specversion", structured({"specversion": "0.3"})),
    "structured: NUL in the id": ("bad_header", structured({"id": f"{CANARY}\x00"})),
    "structured: subject is not the key": ("wrong_subject", structured({"subject": CANARY})),
    "structured: amount as text": ("invalid", structured({"data": PAYMENT | {"amount_cents": "100"}})),
    "structured: amount of forty digits": ("invalid", structured({"data": PAYMENT | {"amount_cents": 10**40}})),
    "structured: amount NaN": (
        "not_json",
        structured()._replace(value=(structured().value or b"").replace(b"347500", b"NaN")),
    ),
    "structured: data_base64 that is none": (
        "not_json",
        structured({"data_base64": CANARY}, without="data"),
    ),
    "structured: data_base64 of something else": (
        "not_json",
        structured({"data_base64": "Um9iaW4gUSBDYW5hcnk="}, without="data"),
    ),
    **{
        f"structured: nested {levels} deep": (
            "not_json",
            structured()._replace(value=(structured().value or b"").replace(b'"till-88120"', deep(levels))),
        )
        for levels in (250, 1000, 100_000)
    },
}


@pytest.mark.parametrize(("code", "record"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_cannot_be_read_gives_its_reason_and_quotes_nothing(code: str, record: Record) -> None:
    with pytest.raises(Unreadable) as caught:
        read(record, NOW)
    assert caught.value.code == code
    reason = str(caught.value)
    assert reason.startswith(code)
    assert len(reason) < 400
    for word in ("robin", "canary", "630", "0188", "1762186329", "88120", COURSE):
        assert word not in reason.lower()
    logged = "".join(traceback.format_exception(caught.value)).lower()
    assert not [word for word in ("robin", "canary", "55501", "88120") if word in logged]


def test_a_reason_names_the_field_and_the_rule_and_not_more_than_eight_of_them() -> None:
    with pytest.raises(Unreadable, match=r"^invalid: amount_cents: int_type; currency: string_pattern_mismatch$"):
        read(payment({"amount_cents": "100", "currency": CANARY}), NOW)
    with pytest.raises(Unreadable, match=r"^invalid: sessions\.0\.starts_at: missing(; [a-z.0-9_]+: [a-z_]+){7}$"):
        read(request({"sessions": [{"session_id": SESSION}] * 100}), NOW)


def test_the_records_above_can_be_read_but_for_what_is_wrong_with_them() -> None:
    for record in (
        payment(),
        structured(),
        request({"sessions": SESSIONS}),
        request({"plan": {"first_day": "2026-11-09"}}),
        contact({}),
        payment_with(b'"more": ' + deep(150)),
    ):
        assert isinstance(read(record, NOW), Message)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": b"booking.chair.painted.v1"},
        {"type": b"booking.session.confirmed.v2"},
        {"type": b"clinic.payment.captured.v1"},
        {"type": CANARY.encode()},
    ],
    ids=["unknown type", "future version", "type of another topic", "no type name"],
)
def test_a_type_that_only_a_newer_release_of_ours_knows_is_not_for_us(changes: dict[str, bytes]) -> None:
    with pytest.raises(NotForUs):
        read(payment(**changes)._replace(topic="booking.events"), NOW)


@pytest.mark.parametrize("topic", ["clinic.contacts", "clinic.patients"])
def test_a_null_value_without_any_header_erases_the_person(topic: str) -> None:
    record = Record(topic, 2, 9, 1762189200000, b"patient-2041", None, ())
    message = read(record, NOW)
    assert message.data == PersonErased(person_id="patient-2041")
    assert (message.id, message.time, message.record) == (record.place_id, NOW, record)


@pytest.mark.parametrize(
    ("headers", "brought"),
    [
        ((("ce_id", b"erase-1"), ("ce_time", b"nonsense")), True),
        ((("ce_id", None),), False),
        ((("ce_id", b""),), False),
        ((("ce_id", b"e" * 65),), False),
        ((("ce_id", b"e\x00"),), False),
        ((("x-other", None), ("ce_source", b"\xff")), False),
    ],
)
def test_an_erasure_is_heard_whatever_its_headers_are(
    headers: tuple[tuple[str, bytes | None], ...], brought: bool
) -> None:
    record = Record("clinic.contacts", 2, 9, 1762189200000, b"patient-2041", None, headers)
    assert read(record, NOW).id == ("erase-1" if brought else record.place_id)


def test_what_may_be_missing_is_missing() -> None:
    message = read(payment(subject=None, time=None, traceparent=None), NOW)
    assert (message.time, message.traceparent) == (NOW, None)
    assert read(structured({"subject": None, "time": None}), NOW).time == NOW


def test_structured_mode_is_known_by_its_media_type_however_it_is_spelled() -> None:
    record = structured()._replace(headers=(("Content-Type", b"Application/CloudEvents+JSON"),))
    assert read(record, NOW).data == read(payment(), NOW).data


@pytest.mark.parametrize("other", [("content-type", b"application/json"), ("content-type", b"text/plain")])
@pytest.mark.parametrize("spelled", ["content-type", "Content-Type"])
def test_structured_mode_is_known_beside_another_media_type(spelled: str, other: tuple[str, bytes]) -> None:
    ours = (spelled, b"application/cloudevents+json")
    for headers in ((ours, other), (other, ours)):
        assert read(structured()._replace(headers=headers), NOW).id == "till-1"


def test_what_a_publishers_library_adds_may_be_any_text() -> None:
    assert read(with_header("kafka_deliveryAttempt", b"\x00\x00\x00\x01"), NOW).id == "till-1"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("given_trace", "kept"),
    [(TRACE, TRACE), (CANARY, None), (f"{TRACE}-{CANARY}", None), (TRACE.upper(), None), ("", None)],
)
def test_only_a_trace_is_handed_on_as_one(given_trace: str, kept: str | None) -> None:
    assert read(payment(traceparent=given_trace.encode()), NOW).traceparent == kept


def test_times_of_any_offset_are_utc_inside() -> None:
    message = read(payment({"captured_at": "2026-11-03T10:12:09-06:00"}, time=b"2026-11-03T10:12:10-06:00"), NOW)
    assert isinstance(message.data, PaymentCaptured)
    assert message.data.captured_at == datetime(2026, 11, 3, 16, 12, 9, tzinfo=UTC)
    assert message.time == datetime(2026, 11, 3, 16, 12, 10, tzinfo=UTC)
    assert message.data.captured_at.tzinfo is UTC
    assert message.time.tzinfo is UTC


def test_a_message_that_waits_in_a_state_comes_back_the_same() -> None:
    for record in (payment(traceparent=TRACE.encode()), request({"plan": {"first_day": "2026-11-09"}}), contact({})):
        message = read(record, NOW)
        stored = json.loads(json.dumps(to_stored(message), default=datetime.isoformat))
        assert from_stored(stored) == message._replace(record=None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
INSTANTS = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}:00{}".format,
    st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 25),
    st.integers(0, 60),
    st.sampled_from(["", "Z", "+05:00", "-05:00", "+23:59", "-23:59", "+24:00"]),
)


def answers(record: Record) -> None:
    try:
        message = read(record, NOW)
    except (Unreadable, NotForUs):
        return
    data = message.data
    headers_of(data, message.id, "billing", message.time, message.traceparent)
    assert from_stored(json.loads(json.dumps(to_stored(message), default=datetime.isoformat))).data == data


@given(st.text(), st.integers(0, 99))
def test_ids_that_follow_from_a_name_are_uuids_of_version_5(name: str, number: int) -> None:
    assert derived_id(name) == uuid5(NAMESPACE, name)
    assert event_id("booking", name, number) == str(uuid5(NAMESPACE, f"booking/{name}/{number}"))


@given(field=st.sampled_from(sorted(PAYMENT)), value=JSON | INSTANTS)
def test_any_value_in_any_field_is_read_or_refused(field: str, value: Any) -> None:
    answers(payment({field: value}))
    answers(structured({"data": PAYMENT | {field: value}}))


@given(name=st.sampled_from(["specversion", "id", "type", "source", "subject", "time", "data"]), value=JSON | INSTANTS)
def test_any_value_in_any_attribute_is_read_or_refused(name: str, value: Any) -> None:
    answers(structured({name: value}))
    answers(payment(**{name: str(value).encode(errors="replace")}))


@given(
    topic=st.sampled_from(["clinic.requests", "clinic.contacts", "clinic.payments", "billing.events"]),
    key=st.none() | st.binary(max_size=70),
    value=st.none() | st.binary(max_size=200),
    headers=st.lists(
        st.tuples(
            st.sampled_from([*HEADERS, "content-type"]) | st.text(max_size=10), st.none() | st.binary(max_size=70)
        ),
        max_size=8,
    ),
)
def test_any_bytes_are_read_or_refused(
    topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = Record(topic, 0, 0, 0, key, value, tuple(headers))
    with contextlib.suppress(Unreadable, NotForUs):
        assert isinstance(read(record, NOW).data, PersonErased)
