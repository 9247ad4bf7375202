"""CloudEvents 1.0 on Kafka: a record's attributes and data, as its publisher wrote them, in binary or structured mode.

What they mean here is `envelope`'s. Source: CloudEvents 1.0.2, its Kafka protocol binding and its JSON format.
"""

import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from shared.contract.fields import to_utc
from shared.decision.message import Record

STRUCTURED: Final = b"application/cloudevents+json"


class Unreadable(Exception):
    """The record can never be understood; trying again does not help."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


def _is_structured(record: Record) -> bool:
    for name, value in record.headers:
        if len(name) == 12 and value and name.lower() == "content-type" and value.lower().startswith(STRUCTURED):
            return True
    return False


def attributes_of(record: Record) -> tuple[Mapping[str, str], Any]:
    """What stands about the data, named as in binary mode, and the data: bytes, or what structured mode's JSON holds.

    Raises:
        Unreadable: it is no CloudEvent, or not 1.0.
    """
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


def time_of(text: str | None, arrived_at: datetime) -> datetime:
    """When the publisher says that it happened; when it arrived where nothing is said.

    Raises:
        Unreadable: the text is no instant.
    """
    if text is None:
        return arrived_at
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise Unreadable("bad_time", "ce_time has no offset")
        return to_utc(time)
    except ValueError:
        raise Unreadable("bad_time", "ce_time is not RFC 3339, or in no year that can be meant") from None
