"""From a record to a message: which event it is, whether it is for us, and whether its key and data are as agreed.

What cannot be read is `Unreadable` with a reason that names fields and codes, never a value: records may hold personal
data. How an event of ours is written is in `shared.decision.message`.
"""

import re
from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from shared.contract.internal import PersonErased
from shared.contract.register import EVENTS
from shared.contract.topics import ERASABLE, SERVICE_TOPICS
from shared.decision import trace
from shared.decision.message import Message, Record
from shared.kafka.cloud_events import Unreadable, attributes_of, time_of

_TYPE_NAME: Final = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40}){1,4}\.v[0-9]{1,3}")


class NotForUs(Exception):
    """A type that only a newer release of another service knows; to be skipped and counted."""


class NotHeard(NotForUs):
    """A type that this service does not act upon; its data is not even looked at."""


def read(record: Record, arrived_at: datetime, hears: Container[str] | None = None) -> Message:
    """The message in a record.

    Args:
        hears: the types to read; all when left out.

    Raises:
        Unreadable: bad input, with its reason.
        NotForUs: an unknown type on a topic that our own services write, or `NotHeard`.
    """
    if record.value is None:
        return _erasure(record, arrived_at)
    if hears is not None and (other := type_for_others(record.topic, record.headers, hears)):
        raise NotHeard(other)
    attributes, data = attributes_of(record)
    type_name, id = attributes["ce_type"], attributes["ce_id"]
    if not 1 <= len(id) <= 64 or not id.isprintable():
        raise Unreadable("bad_id", "ce_id must have 1 to 64 printable characters")
    model = EVENTS.get(type_name)
    if model is None or model.topic != record.topic:
        if record.topic in SERVICE_TOPICS:
            raise NotForUs(type_name)
        named = type_name if _TYPE_NAME.fullmatch(type_name) else "not a type name"
        raise Unreadable("unknown_type", f"{named} on {record.topic}")
    if hears is not None and type_name not in hears:
        raise NotHeard(type_name)
    try:
        parsed = model.model_validate_json(data) if isinstance(data, bytes) else model.model_validate_json(_dump(data))
    except ValidationError as error:
        raise Unreadable(*explain(error)) from None
    key = parsed.key
    if record.key is None or record.key != key.encode():
        raise Unreadable(
            "wrong_key", "the record's key is not the id that this type has as its key (UUIDs in lower case)"
        )
    if attributes.get("ce_subject", key) != key:
        raise Unreadable("wrong_subject", "ce_subject is not the key")
    return Message(
        id=id,
        type=type_name,
        source=attributes["ce_source"],
        time=time_of(attributes.get("ce_time"), arrived_at),
        arrived_at=arrived_at,
        data=parsed,
        traceparent=trace.given(attributes.get("ce_traceparent")),
        record=record,
    )


def type_for_others(topic: str, headers: Iterable[tuple[str, bytes | None]], hears: Container[str]) -> str | None:
    """Most of what our own services tell is for somebody else: its type alone says so, and is given then."""
    if topic in SERVICE_TOPICS:
        for name, value in headers:
            if name == "ce_type" and value is not None:
                type_name = value.decode(errors="replace")
                return type_name if type_name not in hears and type_name in EVENTS else None
    return None


def explain(error: ValidationError) -> tuple[str, str]:
    """A code and a line that names each wrong field and rule, and no value."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    if faults[0]["type"] == "json_invalid":
        return "not_json", "the value is not a JSON document in UTF-8"
    return "invalid", "; ".join(
        f"{'.'.join(str(step) for step in fault['loc']) or 'data'}: {fault['type']}" for fault in faults[:8]
    )


def _erasure(record: Record, arrived_at: datetime) -> Message:
    if record.topic not in ERASABLE:
        raise Unreadable("null_value", f"a null value has no meaning on {record.topic}")
    try:
        person = PersonErased(person_id=(record.key or b"").decode())
    except (UnicodeDecodeError, ValidationError):
        raise Unreadable("wrong_key", "a null value needs the person's id as its key") from None
    attributes = {name: value for name, value in record.headers if name == "ce_id" and value}
    id = attributes.get("ce_id", b"").decode("ascii", "replace")
    return Message(
        id=id if 1 <= len(id) <= 64 and id.isprintable() else record.offset_id,
        type=PersonErased.type,
        source=record.topic,
        time=arrived_at,
        arrived_at=arrived_at,
        data=person,
        record=record,
    )


def _dump(data: Any) -> bytes:
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        raise Unreadable("not_json", "the data is nested too deep") from None
