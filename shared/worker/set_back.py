"""A database that was set back is seen before its service starts.

An event stands on a service's topic only after its row in the outbox was committed. So an event of ours that the outbox
does not know was forgotten, as is what the group has read and `heard` does not know. Then nothing may be decided, and
above all nobody be texted, before the gap was made good (see `recovery`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from shared.configuration.settings import Misconfigured
from shared.contract.topics import CLINIC_TOPICS
from shared.decision.clock import Clock
from shared.decision.message import Record, event_id, source_of
from shared.kafka.connection import Kafka
from shared.kafka.envelope import type_for_others
from shared.kafka.replay import Replay
from shared.kafka.topics import Partition
from shared.postgres.pool import Database
from shared.postgres.writes import Writes
from shared.tables import outbox
from shared.tables.heard import heard_to, remember
from shared.worker.service_rules import Rules

NOTHING: Final[Mapping[str, tuple[int, int]]] = {}
"""What is known of our own events before they were read."""


class SetBack(Misconfigured):
    """The database is older than what its service has said or heard."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What a database has forgotten, or may have: for each partition from which offset on, and to which.

    Attributes:
        told: events of our own that the outbox does not know.
        unheard: records that the group had read and the database does not know.
        since: when Kafka took the first of these.
        decided: when each event of our own stood on its topic, and its offset, by id.
    """

    begin: dict[Partition, int]
    end: dict[Partition, int]
    told: int = 0
    unheard: int = 0
    since: datetime | None = None
    decided: dict[str, tuple[int, int]] = field(default_factory=dict)


class Memory:
    """What a service's database knows of what stands on the topics."""

    def __init__(self, rules: Rules[Any, Any], database: Database, kafka: Kafka, clock: Clock) -> None:
        self._rules = rules
        self._database = database
        self._kafka = kafka
        self._clock = clock
        self.own = f"{rules.service}.events"

    async def look(self) -> None:
        """Before a start. A database that has heard nothing yet is a new one.

        Raises:
            SetBack: it has forgotten something; the line says what to do.
        """
        async with self.reader() as reader:
            gap = await self.gap(reader)
        if gap is not None and (gap.told or gap.unheard):
            raise SetBack(
                f"the database of {self._rules.service} was set back: since {_minute(gap.since)} it has forgotten"
                f" {gap.told} events of its own and {gap.unheard} that it had heard."
                f" End its processes and run: python -m services.{self._rules.service} restored"
            )

    async def gap(self, reader: AIOKafkaConsumer) -> Gap | None:
        """What the topics know and the database may not; None where the database is new.

        Whatever a replica does meanwhile it writes down before Kafka gets to know: so Kafka is asked first.
        """
        partitions = sorted(reader.assignment())
        ends = {(p.topic, p.partition): end for p, end in (await reader.end_offsets(partitions)).items()}
        starts = {(p.topic, p.partition): start for p, start in (await reader.beginning_offsets(partitions)).items()}
        read_to = {(p.topic, p.partition): await reader.committed(p) or 0 for p in partitions}
        known = await self._known(ends, read_to)
        if known is None:
            return None
        begin = {
            partition: max(known[partition], starts[partition])
            for partition in ends
            if known.get(partition, 0) < ends[partition]
        }
        gap = Gap(begin, ends)
        return await self._count(reader, gap, read_to)

    async def _known(self, ends: dict[Partition, int], read_to: dict[Partition, int]) -> dict[Partition, int] | None:
        """From which offset on each partition holds what the database may not know; None where the database is new.

        Of our own topic that is what follows the last event of the outbox. Where it has none, it is what followed when
        the database was made, which is written down then.
        """
        async with self._database.begin() as connection:
            heard = await heard_to(connection)
            mine = await outbox.next_offsets(connection, self.own)
            known = heard | {partition: max(offset, heard.get(partition, 0)) for partition, offset in mine.items()}
            before = {p: ends[p] if p[0] == self.own else 0 if heard else read_to[p] for p in ends if p not in known}
            writes = Writes()
            remember(writes, before)
            await writes.run(connection)
        return known | before if heard else None

    async def _count(self, reader: AIOKafkaConsumer, gap: Gap, read_to: dict[Partition, int]) -> Gap:
        """How much of the gap is really forgotten: what is for others, or came after the last start, is not."""
        own = {partition: gap.end[partition] for partition in gap.begin if partition[0] == self.own}
        inputs = {p: min(read_to[p], gap.end[p]) for p in gap.begin if p not in own and read_to[p] > gap.begin[p]}
        stood = self.replay(reader, {p: gap.begin[p] for p in own}, own).records()
        told = [r async for r in stood if self.is_own(r)]
        missing = await self.missing(told)
        listens = self._rules.listens
        heard = self.replay(reader, {p: gap.begin[p] for p in inputs}, inputs).records()
        unheard = [r.timestamp_ms async for r in heard if not _for_others(r, listens)]
        first = min([*(r.timestamp_ms for r in missing), *unheard], default=None)
        since = None if first is None else self.when(first)
        decided: dict[str, tuple[int, int]] = {}
        for record in told:
            decided.setdefault(id_of(record), (record.timestamp_ms, record.offset))
        return Gap(gap.begin, gap.end, len(missing), len(unheard), since, decided)

    def is_own(self, record: Record) -> bool:
        """Whether the service itself has told it; what somebody else wrote on its topic it cannot have forgotten."""
        return record.topic == self.own and header(record, "ce_source") == source_of(self._rules.service)

    async def missing(self, told: Sequence[Record]) -> list[Record]:
        """Of events of our own those that the outbox has neither by their id nor, under another, by their content."""
        if not told:
            return []
        async with self._database.begin() as connection:
            found = await outbox.by_ids_or_keys(
                connection, self.own, [id_of(record) for record in told], {record.key or b"" for record in told}
            )
        ids, contents = {row.event_id for row in found}, {(row.key, row.value) for row in found}
        return [r for r in told if id_of(r) not in ids and (r.key, r.value) not in contents]

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A client that may read our topics and our own, and set the group's offsets while it has no member."""
        reader = await self._kafka.reader(self.own)
        try:
            yield reader
        finally:
            await reader.stop()

    def replay(
        self,
        reader: AIOKafkaConsumer,
        begin: dict[Partition, int],
        end: dict[Partition, int],
        decided: Mapping[str, tuple[int, int]] = NOTHING,
    ) -> Replay:
        """Read in the order in which Kafka took it; where it led to an event of ours, in the order of these.

        Events of one course stand in one partition of our topic in the order in which they were decided. Of what came
        in one millisecond causes come first: a clinic's before a service's, our own last.
        """

        def order(record: Record) -> tuple[int, ...]:
            if record.topic == self.own:
                return record.timestamp_ms, 2, 0
            if (told := decided.get(event_id(self._rules.service, id_of(record), 0))) is not None:
                return told[0], 0, told[1]
            return record.timestamp_ms, 1, record.topic not in CLINIC_TOPICS

        return Replay(reader, (self._kafka.cluster, self._rules.service), begin, end, order)

    def when(self, timestamp_ms: int) -> datetime:
        """Our clock when Kafka took a record."""
        return self._clock.at(datetime.fromtimestamp(timestamp_ms / 1000, UTC))


def _for_others(record: Record, listens: Any) -> bool:
    return record.value is not None and bool(type_for_others(record.topic, record.headers, listens[record.topic]))


def header(record: Record, wanted: str) -> str:
    """A header as text; empty where it is missing."""
    return next((value.decode(errors="replace") for name, value in record.headers if name == wanted and value), "")


def id_of(record: Record) -> str:
    """The id of an event of ours."""
    return header(record, "ce_id")


def _minute(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
