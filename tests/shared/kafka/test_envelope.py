"""Every kind of record that cannot be read: the reason by its code, and never a word of what stood in it."""

import contextlib
import json
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.clinic import PaymentCaptured
from shared.contract.internal import PersonErased
from shared.decision.message import Message, Record, from_stored, headers_of, to_stored
from shared.kafka.cloud_events import Unreadable
from shared.kafka.envelope import NotForUs, read
from tests.stand_ins.clinic_records import (
    CANARY,
    COURSE,
    HEADERS,
    NOW,
    PAYMENT,
    SESSION,
    SESSIONS,
    TRACE,
    contact,
    deep,
    payment,
    payment_with,
    request,
    structured,
    with_header,
)
from tests.stand_ins.unreadable import UNREADABLE


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
    assert (message.id, message.time, message.record) == (record.offset_id, NOW, record)


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
    assert read(record, NOW).id == ("erase-1" if brought else record.offset_id)


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
