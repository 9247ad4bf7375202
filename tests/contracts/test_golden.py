"""Frozen records, one or more of every type: what stood on Kafka yesterday is read tomorrow, and written the same.

The files are never changed. A new type gets a new file, written by hand; its name is the type, `+` and a variant.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings import kafka as sdk

from deploy.reference.events_page import key_fields
from shared.contract.register import EVENTS
from shared.contract.topics import SERVICE_TOPICS
from shared.decision.message import Message, Record, headers_of
from shared.kafka.envelope import read

GOLDEN = {file.stem: json.loads(file.read_text()) for file in sorted((Path(__file__).parent / "golden").glob("*.json"))}
OURS = [name for name, golden in GOLDEN.items() if golden["topic"] in SERVICE_TOPICS]
NOW = datetime(2026, 11, 3, 17, tzinfo=UTC)

every_golden = pytest.mark.parametrize("name", GOLDEN)
each_mode = pytest.mark.parametrize("mode", ["binary", "structured"])


def compact(value: Any) -> bytes:
    """JSON as our services write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def record_of(golden: Mapping[str, Any], mode: str) -> Record:
    headers = tuple((header, text.encode()) for header, text in golden[mode]["headers"].items())
    return Record(golden["topic"], 0, 7, 1762189200000, golden["key"].encode(), compact(golden[mode]["value"]), headers)


def in_utc(value: Any) -> Any:
    """The value with its instants as instants: a clinic may write any offset."""
    match value:
        case dict():
            return {field: in_utc(inner) for field, inner in value.items()}
        case list():
            return [in_utc(inner) for inner in value]
        case str() if len(value) >= 20 and value[10] == "T":
            return datetime.fromisoformat(value).astimezone(UTC)
        case _:
            return value


def test_every_type_has_a_golden_record_and_no_golden_record_is_of_a_type_that_is_gone() -> None:
    assert {name.partition("+")[0] for name in GOLDEN} == EVENTS.keys()


@pytest.mark.parametrize("type_name", sorted(EVENTS))
def test_the_golden_records_of_a_type_show_every_field_that_it_has(type_name: str) -> None:
    shown = {
        field
        for name, golden in GOLDEN.items()
        if name.partition("+")[0] == type_name
        for field in golden["binary"]["value"]
    }
    assert shown == set(EVENTS[type_name].model_fields)


@every_golden
@each_mode
def test_a_golden_record_is_read(name: str, mode: str) -> None:
    golden = GOLDEN[name]
    message = read(record_of(golden, mode), NOW)
    assert in_utc(json.loads(message.data.model_dump_json(exclude_none=True))) == in_utc(golden["binary"]["value"])
    headers = golden["binary"]["headers"]
    assert message.type == name.partition("+")[0] == headers["ce_type"]
    assert (message.id, message.source) == (headers["ce_id"], headers["ce_source"])
    assert message.time == datetime.fromisoformat(headers["ce_time"])
    assert message.traceparent == headers.get("ce_traceparent")
    assert message.arrived_at == NOW


@pytest.mark.parametrize("name", OURS)
def test_an_event_of_ours_is_written_as_it_always_was_to_the_byte(name: str) -> None:
    golden = GOLDEN[name]
    record = record_of(golden, "binary")
    message = read(record, NOW)
    assert message.data.model_dump_json(exclude_none=True).encode() == record.value
    assert message.data.key.encode() == record.key
    service = golden["topic"].removesuffix(".events")
    assert tuple(headers_of(message.data, message.id, service, message.time, message.traceparent)) == record.headers


@every_golden
def test_the_key_of_a_type_is_the_field_that_the_page_about_events_names(name: str) -> None:
    golden = GOLDEN[name]
    value = golden["binary"]["value"]
    named = [field for field in key_fields(EVENTS[name.partition("+")[0]]).split(", else ") if field in value]
    assert value[named[0]] == golden["key"]


@every_golden
@each_mode
def test_a_field_of_tomorrow_is_ignored(name: str, mode: str) -> None:
    record = record_of(GOLDEN[name], mode)
    document = json.loads(record.value or b"")
    (document["data"] if mode == "structured" else document)["of_tomorrow"] = {"deep": [1]}
    newer = Record(record.topic, 0, 7, 0, record.key, compact(document), record.headers)
    assert read(newer, NOW).data == read(record, NOW).data


@every_golden
@each_mode
def test_the_official_sdk_reads_the_same_from_a_golden_record(name: str, mode: str) -> None:
    golden = GOLDEN[name]
    record = record_of(golden, mode)
    event = sdk.from_kafka_event(
        sdk.KafkaMessage({header: value or b"" for header, value in record.headers}, record.key, record.value or b"")
    )
    headers = golden["binary"]["headers"]
    assert event.get_attributes() == {
        **{header[3:]: text for header, text in headers.items() if header.startswith("ce_")},
        "time": datetime.fromisoformat(headers["ce_time"]),
        "datacontenttype": "application/json",
        "partitionkey": golden["key"],
    }
    assert event.get_data() == golden["binary"]["value"]


@every_golden
@each_mode
@pytest.mark.parametrize("as_bytes", [False, True], ids=["as an object", "as bytes"])
def test_what_the_official_sdk_writes_is_read(name: str, mode: str, as_bytes: bool) -> None:
    golden = GOLDEN[name]
    ours = read(record_of(golden, "binary"), NOW)
    value = golden["binary"]["value"]
    event = sdk.from_kafka_event(
        sdk.KafkaMessage(
            {header: text.encode() for header, text in golden["binary"]["headers"].items()},
            golden["key"].encode(),
            compact(value),
        )
    )
    if as_bytes:  # then structured mode carries `data_base64`
        event = type(event)(dict(event.get_attributes()), compact(value))  # type: ignore[call-arg]
    write = sdk.to_structured_event if mode == "structured" else sdk.to_binary_event
    written = write(event)
    key = written.key if isinstance(written.key, bytes) else str(written.key).encode()
    theirs = read(Record(golden["topic"], 0, 7, 0, key, written.value, tuple(written.headers.items())), NOW)
    assert essence(theirs) == essence(ours)


def essence(message: Message) -> tuple[object, ...]:
    """All of a message but the record that it came in."""
    return message.id, message.type, message.source, message.time, message.traceparent, message.data
