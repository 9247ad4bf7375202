"""Events from a file to any Kafka, as a clinic's own system would send them: a plain client, one JSON event a line.

A line is a CloudEvent in JSON: `id`, `type`, `source`, `time`, `data`, maybe `traceparent`. Instants may
be literal, or relative, which makes a file that can be played on any day: "+90m" and "+2h" count from now, "week 2 tue
10:00 America/Chicago" is in the second full week from now.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from confluent_kafka import KafkaError, Message, Producer
from pydantic import ValidationError

from deploy.operating.kafka_account import KafkaTrouble
from shared.configuration.clinic import WEEKDAYS
from shared.contract.register import EVENTS, EventData
from shared.contract.topics import CLINIC_TOPICS
from shared.decision import trace
from shared.decision.message import rfc3339
from shared.kafka.cluster import Cluster
from shared.kafka.envelope import explain

_FROM_NOW: Final = re.compile(r"\+(\d+)([mh])")
_IN_WEEK: Final = re.compile(r"week (\d+) (mon|tue|wed|thu|fri|sat|sun) (\d\d):(\d\d) (\S+)")


class BadLine(Exception):
    """A line of the file cannot be sent; the text names line and reason."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event ready to be sent."""

    id: str
    source: str
    time: datetime
    data: EventData
    traceparent: str | None = None


def read_events(file: Path, now: datetime) -> list[Event]:
    """The events of a file in UTF-8, in its order, relative instants counted from `now`.

    Raises:
        BadLine: a line is no event of the contract, or one that only our own services write.
    """
    events = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            document = _dated(json.loads(line.decode()), now)
            if not isinstance(document["id"], str) or not isinstance(document.get("source", ""), str):
                raise TypeError
            model = EVENTS[document["type"]]
            if model.topic not in CLINIC_TOPICS:
                raise BadLine(f"{file}:{number}: {model.type} is published by our own services alone")
            events.append(
                Event(
                    id=document["id"],
                    source=document.get("source", "/chairtime/publish"),
                    time=datetime.fromisoformat(document.get("time", rfc3339(now))),
                    data=model.model_validate_json(json.dumps(document["data"]), extra="forbid"),
                    traceparent=trace.given(document.get("traceparent")),
                )
            )
        except UnicodeDecodeError:
            raise BadLine(f"{file}:{number}: is not in UTF-8") from None
        except ValidationError as error:
            raise BadLine(f"{file}:{number}: {': '.join(explain(error))}") from None
        except (ValueError, TypeError, AttributeError):
            raise BadLine(f"{file}:{number}: is not a CloudEvent in JSON with a time in RFC 3339") from None
        except KeyError as missing:
            raise BadLine(f"{file}:{number}: unknown type or missing attribute {missing}") from None
    return events


class ClinicSystem:
    """A plain Kafka client in the role of the clinic's own system."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._refused: list[KafkaError] = []
        self._errors: list[KafkaError] = []
        self._producer = Producer(
            {
                **cluster.librdkafka,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 15_000,
                "error_cb": self._errors.append,
                "log_level": 0,
            }
        )

    def publish(self, events: Iterable[Event], told: Callable[[], None] = lambda: None) -> int:
        """Send events in binary mode and wait until Kafka has all of them; returns how many.

        Args:
            told: called for each that Kafka has.

        Raises:
            KafkaTrouble: the broker does not answer, or refuses.
        """
        sent = 0
        self._refused.clear()
        self._told = told
        for event in events:
            headers = {
                "ce_specversion": "1.0",
                "ce_id": event.id,
                "ce_type": event.data.type,
                "ce_source": event.source,
                "ce_subject": event.data.key,
                "ce_time": rfc3339(event.time),
                "content-type": "application/json",
            }
            if event.traceparent is not None:
                headers["ce_traceparent"] = event.traceparent
            self._produce(event.data, list(headers.items()))
            sent += 1
        while self._producer.flush(1):
            self._stop_if_denied()
        self._stop_if_denied()
        if self._refused:
            raise KafkaTrouble(self._cluster, self._refused[0])
        return sent

    def _produce(self, data: EventData, headers: list[tuple[str, str | bytes | None]]) -> None:
        value = data.model_dump_json(exclude_none=True)
        while True:
            try:
                self._producer.produce(data.topic, value, data.key, headers=headers, on_delivery=self._on_delivery)
            except BufferError:  # librdkafka holds 100,000 at most
                self._producer.poll(0.1)
                self._stop_if_denied()
            else:
                self._producer.poll(0)
                return

    def _stop_if_denied(self) -> None:
        """A wrong password would be tried again until each message is too old."""
        denied = next((error for error in self._errors if KafkaTrouble(self._cluster, error).denied), None)
        if denied is not None:
            self._producer.purge()
            self._producer.flush(1)
            raise KafkaTrouble(self._cluster, denied)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._refused.append(error)
        else:
            self._told()


def _dated(value: Any, now: datetime) -> Any:
    """The value with every relative instant made literal."""
    if isinstance(value, dict):
        return {name: _dated(inner, now) for name, inner in value.items()}
    if isinstance(value, list):
        return [_dated(inner, now) for inner in value]
    if isinstance(value, str):
        if match := _FROM_NOW.fullmatch(value):
            minutes = int(match[1]) * (60 if match[2] == "h" else 1)
            return rfc3339(now + timedelta(minutes=minutes))
        if match := _IN_WEEK.fullmatch(value):
            return rfc3339(_in_week(int(match[1]), match[2], int(match[3]), int(match[4]), ZoneInfo(match[5]), now))
    return value


def _in_week(week: int, weekday: str, hour: int, minute: int, zone: ZoneInfo, now: datetime) -> datetime:
    today = now.astimezone(zone).date()
    next_monday = today + timedelta(days=7 - today.weekday())
    day = next_monday + timedelta(weeks=week - 1, days=[str(d) for d in WEEKDAYS].index(weekday))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
