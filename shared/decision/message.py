"""A message on its way through a service, an event on its way out, and the ids that derive from their cause. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic_core import to_json

from shared.contract.register import EVENTS, EventData
from shared.decision import trace

NAMESPACE: Final = uuid5(NAMESPACE_URL, "https://chairtime.dev/events")
_NAMESPACE: Final = NAMESPACE.bytes
_KIND: Final = 0xF000 << 64 | 0xC000 << 48
"""Where an UUID says what kind it is, and by which version it was made (RFC 9562)."""
_VERSION_5: Final = 5 << 76 | 0x8000 << 48


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
    def offset_id(self) -> str:
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


class Outgoing(NamedTuple):
    """A record to publish. Headers are bytes or null, as they will stand on Kafka."""

    event_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def publication(service: str, event: EventData, cause: Message, id: str) -> Outgoing:
    """An event of ours as it will stand on Kafka; it happened when its cause reached us."""
    return Outgoing(
        event_id=id,
        topic=event.topic,
        key=event.key.encode(),
        value=to_json(event, exclude_none=True),
        headers=headers_of(event, id, service, cause.arrived_at, cause.trace),
    )
