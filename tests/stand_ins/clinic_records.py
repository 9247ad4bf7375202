"""Records as clinics put them on Kafka, to be spoiled."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.contract.register import EVENTS
from shared.decision.message import Record

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


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
