"""CloudEvents 1.0 on Kafka: from a record to a message, and from an event to a record.

Binary mode both ways; structured mode is understood on input. What cannot be read is `Unreadable` with a reason
that names places and codes, never a value: records may hold personal data.
Source: CloudEvents Kafka protocol binding 1.0.2.
"""

import binascii
import re
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
from pydantic import ValidationError

from shared import trace
from shared.contract import ERASABLE, EVENTS, SERVICE_TOPICS, EventData, PersonErased, to_utc

NAMESPACE: Final = uuid5(NAMESPACE_URL, "https://chairtime.dev/events")
_NAMESPACE: Final = NAMESPACE.bytes
_KIND: Final = 0xF000 << 64 | 0xC000 << 48
"""Where an UUID says what kind it is, and by which version it was made (RFC 9562)."""
_VERSION_5: Final = 5 << 76 | 0x8000 << 48
STRUCTURED: Final = b"application/cloudevents+json"
_TYPE_NAME: Final = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40}){1,4}\.v[0-9]{1,3}")


class Unreadable(Exception):
    """The record can never be understood; trying again does not help."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class NotForUs(Exception):
    """A type that only a newer release of another service knows; to be skipped and counted."""


class NotHeard(NotForUs):
    """A type that this service does not act upon; its data is not even looked at."""


class Record(NamedTuple):
    """What stood on Kafka, to the byte. `timestamp_ms` is Kafka's, milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def place_id(self) -> str:
        """An id for a record that brought none; the time tells apart topics that were made anew."""
        return str(derived_id(f"{self.topic}/{self.partition}/{self.offset}/{self.timestamp_ms}"))


class Message(NamedTuple):
    """Something that a service is told: by Kafka, by HTTP or by its own timers.

    `time` is when its publisher says that it happened; `arrived_at` is our clock when it reached us, which is what
    deadlines count by.
    """

    id: str
    type: str
    source: str
    time: datetime
    arrived_at: datetime
    data: EventData
    traceparent: str | None = None
    record: Record | None = None

    @property
    def trace(self) -> str:
        """Its traceparent, as it was given or as it is made of its id."""
        return self.traceparent or trace.made_of(self.id)


def derived_id(name: str) -> UUID:
    """The id of something that follows from what `name` names: the same whenever it is derived again.

    As `uuid5(NAMESPACE, name)`, in half its time.
    """
    value = int.from_bytes(sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16], "big")
    return UUID(int=value & ~_KIND | _VERSION_5)


def event_id(service: str, cause: str, number: int) -> str:
    """The id of the `number`th event that a service derives from a cause: the same whenever it is done again.

    As `str(uuid5(...))`, in a fifth of its time.
    """
    h = sha1(_NAMESPACE + f"{service}/{cause}/{number}".encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:32]}"


def source_of(service: str) -> str:
    """What a service of ours calls itself on its events."""
    return f"/chairtime/{service}"


def headers_of(
    data: EventData, id: str, service: str, time: datetime, traceparent: str | None
) -> list[tuple[str, bytes]]:
    """The headers of an event of ours in binary mode."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_type", data.type.encode()),
        ("ce_source", source_of(service).encode()),
        ("ce_subject", data.key.encode()),
        ("ce_time", rfc3339(time).encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent is not None:
        headers.append(("ce_traceparent", traceparent.encode()))
    return headers


@lru_cache(64)  # all events of one cause have the same
def rfc3339(instant: datetime) -> str:
    """An instant in UTC, ending in Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
    attributes, data = _attributes(record)
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
        time=_time(attributes.get("ce_time"), arrived_at),
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
        id=id if 1 <= len(id) <= 64 and id.isprintable() else record.place_id,
        type=PersonErased.type,
        source=record.topic,
        time=arrived_at,
        arrived_at=arrived_at,
        data=person,
        record=record,
    )


def _is_structured(record: Record) -> bool:
    for name, value in record.headers:
        if len(name) == 12 and value and name.lower() == "content-type" and value.lower().startswith(STRUCTURED):
            return True
    return False


def _attributes(record: Record) -> tuple[Mapping[str, str], Any]:
    """What stands about the data, named as in binary mode, and the data."""
    if _is_structured(record):
        return _structured(record)
    try:
        attributes = {name: value.decode() for name, value in record.headers}  # type: ignore[union-attr]
    except AttributeError:
        raise Unreadable("bad_header", "a header is null") from None
    except UnicodeDecodeError:
        raise Unreadable("bad_header", "a header is not UTF-8") from None
    _check(attributes)
    return attributes, record.value


def _structured(record: Record) -> tuple[Mapping[str, str], Any]:
    try:
        document = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        raise Unreadable("not_json", "the value is not a JSON document in UTF-8") from None
    if not isinstance(document, dict) or not ("data" in document or "data_base64" in document):
        raise Unreadable("not_structured", "a structured event is an object with data")
    attributes: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, str) and name not in ("data", "data_base64"):
            attributes[f"ce_{name}"] = value
        elif name in ("id", "source", "specversion", "subject", "time", "type") and value is not None:
            raise Unreadable("bad_header", f"{name} is not a string")
    _check(attributes)
    return attributes, document["data"] if "data" in document else _decoded(document["data_base64"])


def _decoded(data: Any) -> bytes:
    """Data that the publisher's library had as bytes and so wrote in Base64 (CloudEvents JSON format, 3.1.1)."""
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except (TypeError, ValueError):
        raise Unreadable("not_json", "data_base64 is not Base64") from None


def _check(attributes: Mapping[str, str]) -> None:
    for name in ("ce_specversion", "ce_id", "ce_type", "ce_source"):
        if not attributes.get(name):
            raise Unreadable("missing_header", name)
    if attributes["ce_specversion"] != "1.0":
        raise Unreadable("unknown_specversion", "only CloudEvents 1.0 is understood")
    if "\x00" in "".join(attributes.values()) and any(
        "\x00" in value
        for name, value in attributes.items()
        if name.startswith("ce_")  # others may hold anything
    ):
        raise Unreadable("bad_header", "a header holds NUL")


def _time(text: str | None, arrived_at: datetime) -> datetime:
    if text is None:
        return arrived_at
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise Unreadable("bad_time", "ce_time has no offset")
        return to_utc(time)
    except ValueError:
        raise Unreadable("bad_time", "ce_time is not RFC 3339, or in no year that can be meant") from None


def _dump(data: Any) -> bytes:
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        raise Unreadable("not_json", "the data is nested too deep") from None


def to_stored(message: Message) -> dict[str, Any]:
    """A message as plain JSON, for a state that keeps it until it can be decided."""
    return {
        "id": message.id,
        "type": message.type,
        "source": message.source,
        "time": message.time,
        "arrived_at": message.arrived_at,
        "data": message.data.model_dump(mode="json", exclude_none=True),
        "traceparent": message.traceparent,
    }


def from_stored(stored: Mapping[str, Any]) -> Message:
    """The message that `to_stored` wrote."""
    return Message(
        id=stored["id"],
        type=stored["type"],
        source=stored["source"],
        time=datetime.fromisoformat(stored["time"]),
        arrived_at=datetime.fromisoformat(stored["arrived_at"]),
        data=EVENTS[stored["type"]].model_validate(stored["data"]),
        traceparent=stored["traceparent"],
    )
