"""A database that was set back: seen before the service starts, and made good by a command.

An event stands on a service's topic only after its row in the outbox was committed. So an event of ours that the outbox
does not know was forgotten, as is what the group has read and `heard` does not know. Then nothing may be decided, and
above all nobody be texted, before the service has heard the gap again, and what it has itself told in it.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import attention
from shared.batch import Rules
from shared.clock import Clock
from shared.contract import CLINIC_TOPICS
from shared.database import Database, Writes, rows, run
from shared.decision import Attention, Context, State
from shared.envelope import Message, NotForUs, Record, Unreadable, event_id, read, type_for_others
from shared.kafka import MAX_RECORDS, Kafka, Place
from shared.replay import Replay
from shared.settings import Misconfigured
from shared.worker import Worker, remember

log = logging.getLogger(__name__)

STRETCH_MS: Final = 1000
"""Milliseconds of the gap that are decided together: what falls due in it is delivered after it."""

NAMED: Final = 12
"""Forgotten events that an attention row names; it counts the others."""

ABOUT: Final = ("session_id", "payment_id", "refund_id", "text_id", "closure_id")
"""Fields that say what an event is about, besides its key."""


NOTHING: Final[Mapping[str, tuple[int, int]]] = {}


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

    begin: dict[Place, int]
    end: dict[Place, int]
    told: int = 0
    unheard: int = 0
    since: datetime | None = None
    decided: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Recovered:
    """What was made good.

    Attributes:
        heard: records of the gap that were heard again.
        again: events of our own that were decided again as they had been told.
        recalled: of the others those that the rules have taken up from our own topic.
        settled: what nobody can know and was settled to the safe side (`Recall.end`).
        for_a_person: courses and people of which something was told whose cause is forgotten.
    """

    heard: int = 0
    again: int = 0
    recalled: int = 0
    settled: int = 0
    for_a_person: int = 0
    forgotten: list[Record] = field(default_factory=list)

    def __str__(self) -> str:
        known = f"{self.again} events of its own decided again, {self.recalled} taken up from its topic"
        open_ends = f"{self.settled} texts settled as restored, {self.for_a_person} courses or people for a person"
        return f"{self.heard} records heard again, {known}; {open_ends}"


class Recovery(Generic[State, Context]):
    """Looks whether a service's database was set back, and brings it back to the present."""

    def __init__(
        self,
        rules: Rules[State, Context],
        worker: Worker[State, Context],
        database: Database,
        kafka: Kafka,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._worker = worker
        self._database = database
        self._kafka = kafka
        self._clock = clock
        self._own = f"{rules.service}.events"

    # Looking ----------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Before a start. A database that has heard nothing yet is a new one.

        Raises:
            SetBack: it has forgotten something; the line says what to do.
        """
        async with self._reader() as reader:
            gap = await self._gap(reader)
        if gap is not None and (gap.told or gap.unheard):
            raise SetBack(
                f"the database of {self._rules.service} was set back: since {_minute(gap.since)} it has forgotten"
                f" {gap.told} events of its own and {gap.unheard} that it had heard."
                f" End its processes and run: python -m services.{self._rules.service} restored"
            )

    async def _gap(self, reader: AIOKafkaConsumer) -> Gap | None:
        """What the topics know and the database may not; None where the database is new.

        Whatever a replica does meanwhile it writes down before Kafka gets to know: so Kafka is asked first.
        """
        places = sorted(reader.assignment())
        ends = {(p.topic, p.partition): end for p, end in (await reader.end_offsets(places)).items()}
        starts = {(p.topic, p.partition): start for p, start in (await reader.beginning_offsets(places)).items()}
        read_to = {(p.topic, p.partition): await reader.committed(p) or 0 for p in places}
        known = await self._known(ends, read_to)
        if known is None:
            return None
        begin = {place: max(known[place], starts[place]) for place in ends if known.get(place, 0) < ends[place]}
        gap = Gap(begin, ends)
        return await self._count(reader, gap, read_to)

    async def _known(self, ends: dict[Place, int], read_to: dict[Place, int]) -> dict[Place, int] | None:
        """From which offset on each partition holds what the database may not know; None where the database is new.

        Of our own topic that is what follows the last event of the outbox. Where it has none, it is what followed when
        the database was made, which is written down then.
        """
        async with self._database.begin() as connection:
            heard = await _heard(connection)
            told = await rows(
                connection,
                """SELECT partition, max(kafka_offset) + 1 AS next_offset FROM outbox
                   WHERE topic = :own AND kafka_offset IS NOT NULL GROUP BY partition""",
                own=self._own,
            )
            mine = {(self._own, row.partition): row.next_offset for row in told}
            known = heard | {place: max(offset, heard.get(place, 0)) for place, offset in mine.items()}
            before = {p: ends[p] if p[0] == self._own else 0 if heard else read_to[p] for p in ends if p not in known}
            writes = Writes()
            remember(writes, before)
            await writes.run(connection)
        return known | before if heard else None

    async def _count(self, reader: AIOKafkaConsumer, gap: Gap, read_to: dict[Place, int]) -> Gap:
        """How much of the gap is really forgotten: what is for others, or came after the last start, is not."""
        own = {place: gap.end[place] for place in gap.begin if place[0] == self._own}
        inputs = {p: min(read_to[p], gap.end[p]) for p in gap.begin if p not in own and read_to[p] > gap.begin[p]}
        told = [r async for r in self._replay(reader, {p: gap.begin[p] for p in own}, own).records()]
        missing = await self._missing(told)
        listens = self._rules.listens
        heard = self._replay(reader, {p: gap.begin[p] for p in inputs}, inputs).records()
        unheard = [r.timestamp_ms async for r in heard if not _for_others(r, listens)]
        first = min([*(r.timestamp_ms for r in missing), *unheard], default=None)
        since = None if first is None else self._when(first)
        decided: dict[str, tuple[int, int]] = {}
        for record in told:
            decided.setdefault(_id(record), (record.timestamp_ms, record.offset))
        return Gap(gap.begin, gap.end, len(missing), len(unheard), since, decided)

    async def _missing(self, told: Sequence[Record]) -> list[Record]:
        """Of events of our own those that the outbox has neither by their id nor, under another, by their content."""
        if not told:
            return []
        async with self._database.begin() as connection:
            found = await rows(
                connection,
                """SELECT event_id, key, value FROM outbox WHERE topic = :own AND
                   (event_id = ANY(CAST(:ids AS text[])) OR key = ANY(CAST(:keys AS bytea[])))""",
                own=self._own,
                ids=[_id(record) for record in told],
                keys=sorted({record.key or b"" for record in told}),
            )
        ids, contents = {row.event_id for row in found}, {(row.key, row.value) for row in found}
        return [r for r in told if _id(r) not in ids and (r.key, r.value) not in contents]

    # Recovering -------------------------------------------------------------------------------------------------------

    async def recover(self, until: datetime | None) -> Recovered:
        """Hear the gap again, as far as it can be told in the order of then, deadlines and our own words in between.

        Safe to call again, also after it was cut short. No process of the service may run.

        Args:
            until: from here on the lost database was at work no more; now, where that is not known.

        Raises:
            SetBack: a process of the service is a member of its group.
        """
        done = Recovered()
        async with self._reader() as reader:
            gap = await self._gap(reader)
            if gap is None:
                return done
            await self._rewind(reader)
            if self._rules.recall is not None:
                async with self._database.begin() as connection:
                    await self._rules.recall.begin(connection)
            await self._hear_again(self._replay(reader, gap.begin, gap.end, gap.decided), done)
            await self._end(gap, done, until or self._clock.now())
            await self._rewind(reader)
        return done

    async def _hear_again(self, replay: Replay, done: Recovered) -> None:
        together: list[Record] = []
        async for record in replay.records():
            if record.topic == self._own or not together or self._is_apart(together, record):
                await self._decide(together, done)
                while await self._worker.on_timers(self._when(replay.oldest_ms)):
                    pass
            if record.topic == self._own:
                await self._recall(record, done)
            else:
                together.append(record)
        await self._decide(together, done)

    def _is_apart(self, together: Sequence[Record], record: Record) -> bool:
        return len(together) == MAX_RECORDS or abs(record.timestamp_ms - together[0].timestamp_ms) > STRETCH_MS

    async def _decide(self, together: list[Record], done: Recovered) -> None:
        if together:
            await self._worker.on_records(together)
            done.heard += len(together)
            together.clear()

    async def _recall(self, record: Record, done: Recovered) -> None:
        """One event of our own: decided again by now, or taken up by the rules, or its cause is forgotten."""
        if not await self._missing([record]):
            done.again += 1
        elif (message := self._recalled(record)) is not None:
            await self._worker.on_message(message)
            done.recalled += 1
        else:
            done.forgotten.append(record)

    def _recalled(self, record: Record) -> Message | None:
        recall = self._rules.recall
        try:
            message = read(record, self._at(record))
        except (Unreadable, NotForUs):
            return None
        return message if recall is not None and recall.takes(message.data) else None

    async def _end(self, gap: Gap, done: Recovered, until: datetime) -> None:
        """What nobody can tell any more goes to a person; from here on our own topic is known to its end."""
        missing = await self._missing(done.forgotten)
        done.again += len(done.forgotten) - len(missing)
        now = self._clock.now()
        by_key: dict[str, list[Record]] = {}
        for record in missing:
            by_key.setdefault((record.key or b"").decode(errors="replace"), []).append(record)
        writes = Writes()
        attention.add(writes, [(key, _forgotten(key, told)) for key, told in by_key.items()], now)
        remember(writes, {place: end for place, end in gap.end.items() if place[0] == self._own})
        async with self._database.begin() as connection:
            await writes.run(connection)
            if self._rules.recall is not None:
                done.settled = await self._rules.recall.end(connection, until)
        done.for_a_person = len(by_key)

    async def _rewind(self, reader: AIOKafkaConsumer) -> None:
        """The group goes on where the database is."""
        async with self._database.begin() as connection:
            heard = await _heard(connection)
        try:
            await reader.commit({TopicPartition(*p): offset for p, offset in heard.items() if p[0] != self._own})
        except KafkaError as error:
            raise SetBack(
                f"the offsets of {self._rules.service} cannot be set ({type(error).__name__}):"
                " end its processes first; one that was killed leaves its group after some seconds"
            ) from None

    # Reading ----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A client that may read our topics and our own, and set the group's offsets while it has no member."""
        reader = await self._kafka.reader(self._own)
        try:
            yield reader
        finally:
            await reader.stop()

    def _replay(
        self,
        reader: AIOKafkaConsumer,
        begin: dict[Place, int],
        end: dict[Place, int],
        decided: Mapping[str, tuple[int, int]] = NOTHING,
    ) -> Replay:
        """Read in the order in which Kafka took it; where it led to an event of ours, in the order of these.

        Events of one course stand in one partition of our topic in the order in which they were decided. Of what came
        in one millisecond causes come first: a clinic's before a service's, our own last.
        """

        def order(record: Record) -> tuple[int, ...]:
            if record.topic == self._own:
                return record.timestamp_ms, 2, 0
            if (told := decided.get(event_id(self._rules.service, _id(record), 0))) is not None:
                return told[0], 0, told[1]
            return record.timestamp_ms, 1, record.topic not in CLINIC_TOPICS

        return Replay(reader, (self._kafka.cluster, self._rules.service), begin, end, order)

    def _at(self, record: Record) -> datetime:
        return self._when(record.timestamp_ms)

    def _when(self, timestamp_ms: int) -> datetime:
        return self._clock.at(datetime.fromtimestamp(timestamp_ms / 1000, UTC))


async def _heard(connection: AsyncConnection) -> dict[Place, int]:
    found = await rows(connection, "SELECT topic, partition, next_offset FROM heard")
    return {(row.topic, row.partition): row.next_offset for row in found}


async def keep_place(connection: AsyncConnection, service: str) -> None:
    """Remember how far our own topic is known, before old rows of the outbox are purged."""
    await run(
        connection,
        """INSERT INTO heard (topic, partition, next_offset)
           SELECT topic, partition, max(kafka_offset) + 1 FROM outbox
           WHERE topic = :own AND kafka_offset IS NOT NULL GROUP BY topic, partition
           ON CONFLICT (topic, partition) DO UPDATE
           SET next_offset = greatest(heard.next_offset, excluded.next_offset)""",
        own=f"{service}.events",
    )


def _for_others(record: Record, listens: Any) -> bool:
    return record.value is not None and bool(type_for_others(record.topic, record.headers, listens[record.topic]))


def _header(record: Record, wanted: str) -> str:
    return next((value.decode(errors="replace") for name, value in record.headers if name == wanted and value), "")


def _id(record: Record) -> str:
    return _header(record, "ce_id")


def _forgotten(key: str, told: Sequence[Record]) -> Attention:
    """A row that says what was told of one course or person, so that somebody can ask for it again."""
    named = [_about(record) for record in told[:NAMED]] + [f"and {len(told) - NAMED} more"] * (len(told) > NAMED)
    detail = f"told before the database was set back, the cause is forgotten: {'; '.join(named)}"
    return Attention("forgotten", key, detail)


def _about(record: Record) -> str:
    try:
        data = read(record, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)).data
    except (Unreadable, NotForUs):
        return _header(record, "ce_type")
    ids = [str(getattr(data, name)) for name in ABOUT if getattr(data, name, None) is not None]
    return " ".join([data.type, *ids])


def _minute(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")
