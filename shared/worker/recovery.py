"""A database that was set back is made good: its service hears the gap again, and what it has itself told in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.decision.clock import Clock
from shared.decision.decision import Attention, Context, State
from shared.decision.message import Message, Record
from shared.kafka.cloud_events import Unreadable
from shared.kafka.consumer import MAX_RECORDS
from shared.kafka.envelope import NotForUs, read
from shared.kafka.replay import Replay
from shared.postgres.pool import Database
from shared.postgres.writes import Writes
from shared.tables import attention
from shared.tables.heard import heard_to, remember
from shared.worker.service_rules import Rules
from shared.worker.set_back import Gap, Memory, SetBack, header
from shared.worker.worker import Worker

STRETCH_MS: Final = 1000
"""Milliseconds of the gap that are decided together: what falls due in it is delivered after it."""

NAMED: Final = 12
"""Forgotten events that an attention row names; it counts the others."""

ABOUT: Final = ("session_id", "payment_id", "refund_id", "text_id", "closure_id")
"""Fields that say what an event is about, besides its key."""


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
    """Brings a service's database that was set back to the present."""

    def __init__(
        self,
        memory: Memory,
        rules: Rules[State, Context],
        worker: Worker[State, Context],
        database: Database,
        clock: Clock,
    ) -> None:
        self._memory = memory
        self._rules = rules
        self._worker = worker
        self._database = database
        self._clock = clock

    async def recover(self, until: datetime | None) -> Recovered:
        """Hear the gap again, as far as it can be told in the order of then, deadlines and our own words in between.

        Safe to call again, also after it was cut short. No process of the service may run.

        Args:
            until: from here on the lost database was at work no more; now, where that is not known.

        Raises:
            SetBack: a process of the service is a member of its group.
        """
        done = Recovered()
        async with self._memory.reader() as reader:
            gap = await self._memory.gap(reader)
            if gap is None:
                return done
            await self._rewind(reader)
            if self._rules.recall is not None:
                async with self._database.begin() as connection:
                    await self._rules.recall.begin(connection)
            await self._hear_again(self._memory.replay(reader, gap.begin, gap.end, gap.decided), done)
            await self._end(gap, done, until or self._clock.now())
            await self._rewind(reader)
        return done

    async def _hear_again(self, replay: Replay, done: Recovered) -> None:
        together: list[Record] = []
        async for record in replay.records():
            if record.topic == self._memory.own or not together or self._is_apart(together, record):
                await self._decide(together, done)
                while await self._worker.on_timers(self._memory.when(replay.oldest_ms)):
                    pass
            if record.topic == self._memory.own:
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
        if not self._memory.is_own(record):
            return
        if not await self._memory.missing([record]):
            done.again += 1
        elif (message := self._recalled(record)) is not None:
            await self._worker.on_message(message)
            done.recalled += 1
        else:
            done.forgotten.append(record)

    def _recalled(self, record: Record) -> Message | None:
        recall = self._rules.recall
        try:
            message = read(record, self._memory.when(record.timestamp_ms))
        except (Unreadable, NotForUs):
            return None
        return message if recall is not None and recall.takes(message.data) else None

    async def _end(self, gap: Gap, done: Recovered, until: datetime) -> None:
        """What nobody can tell any more goes to a person; from here on our own topic is known to its end."""
        missing = await self._memory.missing(done.forgotten)
        done.again += len(done.forgotten) - len(missing)
        now = self._clock.now()
        by_key: dict[str, list[Record]] = {}
        for record in missing:
            by_key.setdefault((record.key or b"").decode(errors="replace"), []).append(record)
        writes = Writes()
        attention.add(writes, [(key, _forgotten(key, told)) for key, told in by_key.items()], now)
        remember(writes, {partition: end for partition, end in gap.end.items() if partition[0] == self._memory.own})
        async with self._database.begin() as connection:
            await writes.run(connection)
            if self._rules.recall is not None:
                done.settled = await self._rules.recall.end(connection, until)
        done.for_a_person = len(by_key)

    async def _rewind(self, reader: AIOKafkaConsumer) -> None:
        """The group goes on where the database is."""
        async with self._database.begin() as connection:
            heard = await heard_to(connection)
        try:
            await reader.commit({TopicPartition(*p): offset for p, offset in heard.items() if p[0] != self._memory.own})
        except KafkaError as error:
            raise SetBack(
                f"the offsets of {self._rules.service} cannot be set ({type(error).__name__}):"
                " end its processes first; one that was killed leaves its group after some seconds"
            ) from None


def _forgotten(key: str, told: Sequence[Record]) -> Attention:
    """A row that says what was told of one course or person, so that somebody can ask for it again."""
    named = [_about(record) for record in told[:NAMED]] + [f"and {len(told) - NAMED} more"] * (len(told) > NAMED)
    detail = f"told before the database was set back, the cause is forgotten: {'; '.join(named)}"
    return Attention("forgotten", key, detail)


def _about(record: Record) -> str:
    try:
        data = read(record, datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)).data
    except (Unreadable, NotForUs):
        return header(record, "ce_type")
    ids = [str(getattr(data, name)) for name in ABOUT if getattr(data, name, None) is not None]
    return " ".join([data.type, *ids])
