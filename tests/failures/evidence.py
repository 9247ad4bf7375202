"""What a run has left behind: the rows of its databases, and what stands on the topics."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import asyncpg
from aiokafka import TopicPartition

from deploy.preparing.heard import HEARS
from shared.contract.register import EVENTS, EventData
from shared.contract.topics import DEAD_LETTER_TOPICS
from shared.decision.message import Message, Record
from shared.kafka.cloud_events import Unreadable
from shared.kafka.envelope import NotForUs, read
from shared.tables.outbox import unpack
from tests.stand_ins.kafka_clients import consumer, topic_ends

READ_SECONDS: Final = 60
"""How long reading all topics may take."""

Ends = Mapping[tuple[str, int], int]
"""The offset after the last record, by topic and partition."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a service's outbox has it; `row` counts up in the order in which events were decided."""

    row: int
    id: str
    data: EventData


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that a service has in its inbox, and when that was by its clock."""

    at: datetime
    message: Message


@dataclass(frozen=True)
class Evidence:
    """Databases by service and table, topics from some offset on.

    `whole`: all that was read from the topics belongs to this run, and not only what its databases know of.
    """

    tables: Mapping[str, Mapping[str, Sequence[asyncpg.Record]]]
    records: Mapping[tuple[str, int, int], Record]
    ends: Ends
    whole: bool

    def rows(self, service: str, table: str) -> Sequence[asyncpg.Record]:
        """A table's rows; none of a database that was not given."""
        return self.tables.get(service, {}).get(table, ())

    @cached_property
    def known(self) -> frozenset[str]:
        """Ids of the courses and people that any of the databases knows."""
        courses = [("booking", "courses"), ("billing", "accounts"), ("reminders", "courses")]
        people = [("reminders", "contacts", "contact_id"), ("billing", "patients", "patient_id")]
        return frozenset(str(row["course_id"]) for place in courses for row in self.rows(*place)) | frozenset(
            row[column] for service, table, column in people for row in self.rows(service, table)
        )

    @cached_property
    def held_back(self) -> frozenset[str]:
        """Courses and people of which a dead letter waits for an operator: they may lag behind."""
        return frozenset(
            row["aggregate"].rpartition(":")[2]
            for service in self.tables
            for row in self.rows(service, "dead_letters")
            if row["status"] == "open" and row["aggregate"] is not None
        )

    @cached_property
    def messages(self) -> Mapping[tuple[str, int, int], Message | Unreadable]:
        """What the records of this run say, by place; types that nobody knows are left out."""
        read_out: dict[tuple[str, int, int], Message | Unreadable] = {}
        for place, record in self.records.items():
            if record.topic not in DEAD_LETTER_TOPICS and (
                self.whole or (record.key or b"").decode(errors="replace") in self.known
            ):
                try:
                    read_out[place] = read(record, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC))
                except Unreadable as error:
                    read_out[place] = error
                except NotForUs:
                    pass
        return read_out

    def events(self, *types: type[Any]) -> Iterator[Any]:
        """Data of the events of these types on the topics, each once, in the order of their partition."""
        seen: set[str] = set()
        for message in self.messages.values():
            if isinstance(message, Message) and isinstance(message.data, types) and message.id not in seen:
                seen.add(message.id)
                yield message.data

    def told(self, service: str) -> list[Told]:
        """What a service has decided to tell, in that order."""
        return self._told.get(service, [])

    def heard(self, service: str) -> list[Heard]:
        """What a service has heard by Kafka and acted upon, each message once, in order of time."""
        return self._heard.get(service, [])

    @cached_property
    def _told(self) -> dict[str, list[Told]]:
        told = defaultdict(list)
        for service in self.tables:
            for row in sorted(self.rows(service, "outbox"), key=lambda row: row["id"]):
                if row["topic"] == f"{service}.events":
                    model = EVENTS[(dict(unpack(row["headers"]))["ce_type"] or b"").decode()]
                    told[service].append(Told(row["id"], row["event_id"], model.model_validate_json(row["value"])))
        return told

    @cached_property
    def _heard(self) -> dict[str, list[Heard]]:
        heard = {}
        for service in self.tables:
            acted_upon = {row["id"]: row["received_at"] for row in self.rows(service, "inbox")}
            for letter in self.rows(service, "dead_letters"):
                if letter["status"] == "retried":
                    acted_upon[letter["message_id"]] = letter["ended_at"]
                else:
                    acted_upon.pop(letter["message_id"], None)
            found: dict[str, Heard] = {}
            for (topic, *_), message in self.messages.items():
                if (
                    isinstance(message, Message)
                    and message.id in acted_upon
                    and message.type in HEARS[service].get(topic, ())
                ):
                    found.setdefault(message.id, Heard(acted_upon[message.id], message))
            heard[service] = sorted(found.values(), key=lambda heard: heard.at)
        return heard


async def gather(urls: Mapping[str, str], kafka: str, since: Ends | None = None) -> Evidence:
    """Read everything.

    Args:
        urls: database URLs by service.
        since: the topics' ends before the run began; all that came later is this run's.
    """
    ends, *tables = await asyncio.gather(topic_ends(kafka), *(_tables(url) for url in urls.values()))
    records = await _records(kafka, since or {}, ends)
    return Evidence(dict(zip(urls, tables, strict=True)), records, ends, whole=since is not None)


async def _tables(url: str) -> dict[str, list[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            names = await connection.fetch(
                "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
            )
            return {name: await connection.fetch(f'SELECT * FROM "{name}"') for (name,) in names}
    finally:
        await connection.close()


async def _records(kafka: str, since: Ends, ends: Ends) -> dict[tuple[str, int, int], Record]:
    records: dict[tuple[str, int, int], Record] = {}
    async with consumer(kafka) as client:
        wanted = {TopicPartition(*place): end for place, end in ends.items() if since.get(place, 0) < end}
        if wanted:
            client.assign(list(wanted))
            starts = await client.beginning_offsets(list(wanted))
            for place, start in starts.items():
                client.seek(place, max(start, since.get((place.topic, place.partition), 0)))
        async with asyncio.timeout(READ_SECONDS):
            while behind := [place for place, end in wanted.items() if await client.position(place) < end]:
                for batch in (await client.getmany(*behind, timeout_ms=50)).values():
                    for r in batch:
                        headers = tuple(r.headers)
                        records[r.topic, r.partition, r.offset] = Record(
                            r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, headers
                        )
    return dict(sorted(records.items()))
