"""The road that every message takes, whether it came by Kafka, by HTTP or from a timer.

    inbox: seen before? -> load what the batch names, locked -> decide, one message after the other
    -> save what changed, timers, outbox, dead letters, attention -> commit

One transaction a batch. What a service brings is `Rules` (`service_rules`): pure decisions and its SQL.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Generic, Protocol

import orjson
from asyncpg import PostgresError

from shared.decision.clock import Clock
from shared.decision.decision import Attention, Context, State
from shared.decision.message import Message, Record
from shared.instruments import crash, metrics
from shared.kafka.envelope import read
from shared.postgres.pool import DEADLOCK, RACED, REFUSED, Database, sqlstate
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables import attention, dead_letters, inbox, outbox, timers
from shared.tables.heard import remember
from shared.worker.batch import Batch, about
from shared.worker.service_rules import Answer, Rules

log = logging.getLogger(__name__)

TRIES = 8


class HeldBack(Exception):
    """The course waits for an operator, who must retry or discard a dead letter first."""


class PayloadConflict(Exception):
    """The same id came before with another payload."""


class InFlight(Exception):
    """The same id is being worked on at this moment; its answer can be had a moment later."""


class Committed(Protocol):
    """Is told after every commit what it has brought that others wait for."""

    def __call__(self, *, outgoing: bool, timer_at: datetime | None, due_at: datetime | None) -> None:
        """What is to be looked at now.

        Args:
            outgoing: whether there is something to publish.
            timer_at: the earliest new deadline.
            due_at: the earliest instant at which the service's own loops must look.
        """


class Worker(Generic[State, Context]):
    """Takes messages through a service's rules."""

    def __init__(self, rules: Rules[State, Context], database: Database, clock: Clock, committed: Committed) -> None:
        self._rules = rules
        self._database = database
        self._clock = clock
        self._committed = committed

    async def on_records(self, records: Sequence[Record]) -> None:
        """A batch from Kafka. When this returns, every record has had its one effect or is a dead letter."""
        batch = Batch([])
        passed_over: Counter[str] = Counter()
        arrived: dict[int, datetime] = {}  # many of a batch came in the same millisecond
        for record in records:
            at = record.timestamp_ms
            arrived_at = arrived.get(at) or arrived.setdefault(
                at, self._clock.at(datetime.fromtimestamp(at / 1000, UTC))
            )
            if reason := batch.read(self._rules, record, arrived_at):
                passed_over[reason] += 1
        for reason, count in passed_over.items():
            metrics.HEARD.labels(self._rules.service, reason).inc(count)
        crash.step("worker.read")
        with metrics.BATCH_SECONDS.labels(self._rules.service).time():
            await self._carry(batch)

    async def on_message(self, message: Message) -> None:
        """What nobody will tell us again: when this returns, it has had its one effect or is a dead letter."""
        await self._carry(Batch([message]))

    async def on_timers(self, until: datetime) -> int:
        """Deliver timers due until an instant that the fence has passed; returns how many."""
        try:
            async with self._database.begin() as connection:
                batch = Batch(await timers.take_due(connection, until))
                crash.step("timers.taken")
                await self._decide_all(connection, batch, frozenset(message.id for message in batch.messages), None)
                crash.step("timers.decided")
            crash.step("timers.committed")
        except PostgresError as error:
            if not sqlstate(error).startswith(REFUSED):
                raise
            batch = await self._one_timer(until)
        self._tell(batch)
        return len(batch.messages)

    async def _one_timer(self, until: datetime) -> Batch:
        """Deliver the oldest timer alone; what the database refuses then is a defect of the rule."""
        async with self._database.begin() as connection:
            due = await timers.take_due(connection, until, 1)
            ids = frozenset(message.id for message in due)
            for _ in range(TRIES):
                batch = Batch(due)
                try:
                    async with connection.transaction():  # a savepoint
                        await self._decide_all(connection, batch, ids, None)
                    return batch
                except PostgresError as error:
                    if not sqlstate(error).startswith(REFUSED):
                        raise
                    refused = error
                    if sqlstate(error) not in RACED:
                        break
            batch = Batch(due)
            await self._decide_all(connection, batch, ids, refused)
            return batch

    async def submit(self, message: Message) -> Answer:
        """A request by HTTP; the same id gets the same answer.

        Raises:
            HeldBack: its course waits for an operator.
            InFlight: the id is being worked on, here or by another replica.
            PayloadConflict: the id came before with another payload.
        """
        for attempt in range(TRIES):
            try:
                batch, answer = await self._submit_once(message)
            except PostgresError as error:
                if sqlstate(error) not in DEADLOCK | RACED or attempt == TRIES - 1:
                    raise
            else:
                self._tell(batch)
                return answer
        raise AssertionError("unreachable")

    async def retry(self, letter_id: int, by: str) -> int:
        """Put a dead letter and all that waits behind it through the rules, in order; returns how many.

        Raises:
            Unreadable: it still cannot be read.
            LookupError: there is no such open letter.
            Exception: what the rule raises; nothing has changed then.
        """
        async with self._database.begin() as connection:
            chain = await dead_letters.chain(connection, letter_id)
            if not chain:
                raise LookupError(letter_id)
            messages = [
                dead_letters.inner(letter.record, letter.arrived_at) or read(letter.record, letter.arrived_at)
                for _, letter in chain
            ]
            now = self._clock.now()
            await dead_letters.end(connection, [id for id, _ in chain], "retried", by, "", now)
            # What could not be read took no id of its own then; a repeat may have been read since.
            unread = {
                message.id for message, (_, letter) in zip(messages, chain, strict=True) if letter.kind == "unreadable"
            }
            entries = [(m.id, inbox.digest(m), m.type) for m in messages if m.id in unread]
            claim = await inbox.claim(connection, entries, (), now)
            new = frozenset(message.id for message in messages) - unread | claim.new
            batch = Batch(messages)
            await self._decide_all(connection, batch, new, None, keep_defects=False)
        self._tell(batch)
        return len(chain)

    async def discard(self, letter_id: int, by: str, reason: str) -> int | None:
        """Drop one dead letter for good.

        Returns:
            The first of those that waited behind it, when no defect is left before them: it can be retried now.

        Raises:
            LookupError: there is no such open letter.
        """
        async with self._database.begin() as connection:
            chain = await dead_letters.chain(connection, letter_id)
            if not chain:
                raise LookupError(letter_id)
            await dead_letters.end(connection, [letter_id], "discarded", by, reason, self._clock.now())
        waiting = [(id, letter.kind) for id, letter in chain if id != letter_id]
        return None if any(kind == "defect" for _, kind in waiting) else next((id for id, _ in waiting), None)

    async def _carry(self, batch: Batch) -> None:
        """One transaction for all; where they stand in each other's way, again, and at last one by one."""
        for attempt in range(TRIES):
            try:
                done = await self._once(batch, None)
            except PostgresError as error:
                state = sqlstate(error)
                if state in DEADLOCK:
                    continue
                if not state.startswith(REFUSED):
                    raise
                if len(batch.messages) > 1:
                    break
                if state in RACED and attempt < TRIES - 1:
                    continue
                done = await self._once(batch, error)  # the database refuses what the rule decided: the rule's defect
            crash.step("worker.committed")
            self._tell(done)
            return
        if len(batch.messages) <= 1:
            raise RuntimeError("deadlocks without end")
        for message in batch.messages:
            await self._carry(Batch([message]))
        await self._carry(Batch([], letters=batch.letters, heard=batch.heard, notes=batch.notes))

    async def _once(self, template: Batch, defect: Exception | None) -> Batch:
        batch = Batch(list(template.messages), list(template.letters), template.heard, template.notes)
        async with self._database.begin() as connection:
            now = self._clock.now()
            entries = [(m.id, inbox.digest(m), m.type) for m in batch.messages]
            entries += [(letter.message_id, b"", "unreadable") for letter in batch.letters]
            aggregates = {self._rules.aggregate_of(message) for message in batch.messages}
            claim = await inbox.claim(connection, entries, aggregates, now)
            crash.step("worker.claimed")
            batch.letters = [letter for letter in batch.letters if letter.message_id in claim.new]
            batch.announce(self._rules.service, *batch.letters)
            for message in batch.messages:
                if message.id in claim.conflicting:
                    what = Attention("payload_conflict", message.id, f"{message.type} came again with another payload")
                    batch.attention.append((self._rules.aggregate_of(message), what))
            await self._decide_all(connection, batch, claim.new, defect, claim.held)
            crash.step("worker.before_commit")
        return batch

    async def _submit_once(self, message: Message) -> tuple[Batch, Answer]:
        batch = Batch([message])
        async with self._database.begin() as connection:
            if not await inbox.hold(connection, message.id):
                raise InFlight(message.id)
            aggregate = self._rules.aggregate_of(message)
            entry = (message.id, inbox.digest(message), message.type)
            claim = await inbox.claim(connection, [entry], [aggregate], self._clock.now())
            if claim.conflicting:
                raise PayloadConflict(message.id)
            if not claim.new:
                told = await inbox.answer(connection, message.id)
                return batch, list(told or [])
            if claim.held:
                raise HeldBack(aggregate)
            await self._decide_all(connection, batch, claim.new, None, claim.held, keep_defects=False)
            answer = batch.answers.get(message.id, [])
            await inbox.keep_answer(connection, message.id, orjson.dumps(answer))
            return batch, answer

    async def _decide_all(
        self,
        connection: Connection,
        batch: Batch,
        new: frozenset[str],
        defect: Exception | None,
        held: frozenset[str] | None = None,
        keep_defects: bool = True,
    ) -> None:
        """Fold the batch's new messages, in order, and write down all that follows.

        Args:
            defect: what the rule shall be taken to have raised.
            held: aggregates that wait for an operator; looked up where they are not known yet.
            keep_defects: make dead letters of what rules raise, or raise it.
        """
        seen: set[str] = set()
        writes = Writes()
        messages = [m for m in batch.messages if m.id in new and not (m.id in seen or seen.add(m.id))]  # type: ignore[func-returns-value]
        metrics.HEARD.labels(self._rules.service, "handled").inc(len(messages))
        metrics.HEARD.labels(self._rules.service, "repeat").inc(len(batch.messages) - len(messages))
        if messages:
            loaded = await self._rules.load(connection, messages)
            if held is None or held:  # they are locked now, and an operator may have freed them meanwhile
                held = await dead_letters.held_back(connection, {self._rules.aggregate_of(m) for m in messages})
            changed, context = batch.decide(self._rules, messages, loaded, held, defect, keep_defects)
            crash.step("worker.decided")
            if changed:
                batch.due_at = self._rules.due(changed.values(), context)
                self._rules.save(writes, loaded.states, changed, context)
        now = self._clock.now()
        timers.save(writes, batch.timers)
        dead_letters.add(writes, batch.letters)
        attention.add(writes, batch.attention, now)
        outbox.add(writes, batch.outgoing, now)
        for type_name, told in batch.notes.items():
            self._rules.notes[type_name].write(writes, told)
        remember(writes, batch.heard)
        await writes.run(connection)
        service = self._rules.service
        if log.isEnabledFor(logging.DEBUG):
            for message in messages:
                log.debug("heard %s", message.type, extra=about(service, self._rules.aggregate_of(message), message))
        for letter in batch.letters:
            log.warning(
                "dead letter: %s: %s", letter.kind, letter.error_type, extra=letter.about | {"service": service}
            )
            metrics.DEAD_LETTERS.labels(self._rules.service, letter.kind).inc()
        for _, item in batch.attention:
            metrics.ATTENTION.labels(self._rules.service, item.kind).inc()

    def _tell(self, batch: Batch) -> None:
        self._committed(outgoing=bool(batch.outgoing), timer_at=batch.next_timer, due_at=batch.due_at)

    async def pass_over(self, heard: Mapping[tuple[str, int], int]) -> None:
        """Count everything before these offsets as heard."""
        writes = Writes()
        remember(writes, heard)
        async with self._database.begin() as connection:
            await writes.run(connection)
