"""Sends what is due: claim, look again, write the attempt down, commit, send, record.

No provider is called inside a transaction, and nothing goes out before the fence is passed. A text whose outcome
nobody can know is never sent again: it goes to a person.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reminders import queue, store
from services.reminders.attempt import Attempt, Claim, event_of, publication_of, record_of
from services.reminders.contact import CARRIER, consent_events, opt_out
from services.reminders.profile import Places
from services.reminders.rules import COURSE, SERVICE
from services.reminders.sms import OPTED_OUT, Outcome, Refused, Sender, Unknown
from shared import attention, crash, metrics, outbox
from shared.clock import Alarm, Clock
from shared.database import Database, Writes
from shared.decision import Attention
from shared.timers import Fence

log = logging.getLogger(__name__)

BATCH: Final = 50
"""Texts claimed, and then sent, at the same time."""

REST: Final = 0.02
"""Seconds between two looks at what is due; commits come faster than that."""

PAUSES: Final = (0.2, 1, 5, 20, 60)
"""Seconds between tries to record an outcome while the database is away."""


class Dispatch:
    """Sends due texts. `run` goes on until cancelled; while Kafka is away texts wait.

    Args:
        alarm: wakes the loop.
        published: called when the outbox has something new.
    """

    def __init__(
        self,
        database: Database,
        fence: Fence,
        clock: Clock,
        alarm: Alarm,
        published: Callable[[], None],
        sender: Sender,
        places: Places,
    ) -> None:
        self._database = database
        self._fence = fence
        self._clock = clock
        self._alarm = alarm
        self._published = published
        self._sender = sender
        self._places = places
        self._served = sorted(places)
        self._busy = False
        self._passes = 0

    async def run(self) -> None:
        """Send what is due, sleep until the next text, again."""
        try:
            while True:
                try:
                    await self._pass()
                    await self._alarm.wait(REST)
                except (SQLAlchemyError, KafkaError, OSError) as trouble:
                    log.warning("texts wait: %s", type(trouble).__name__, extra={"service": SERVICE})
                    await asyncio.sleep(1)
        finally:
            await self._sender.close()

    async def next_due(self, connection: AsyncConnection) -> datetime | None:
        """When the next text must be looked at; now, while one is being sent."""
        while True:
            passes = self._passes
            look_at = await queue.next_look(connection, self._served)
            if self._busy:
                return self._clock.now()
            if passes == self._passes:  # else what was read may be in the middle of a batch that is over by now
                return look_at

    async def pending(self, connection: AsyncConnection, now: datetime) -> bool:
        """Whether a text is due and not finished."""
        due_at = await self.next_due(connection)
        return due_at is not None and due_at <= now

    async def send_due(self, until: datetime) -> int:
        """Settle one batch of texts due until an instant that the fence has passed; returns how many.

        Once texts are claimed, their sending is carried through even when the caller is cancelled.
        """
        self._busy = True
        self._passes += 1
        try:
            async with self._database.begin() as connection:
                handled, attempts = await self._claim(connection, until)
            crash.step("dispatch.committed")
            if handled:
                self._published()
            sending = asyncio.create_task(self._send(attempts))
            try:
                await asyncio.shield(sending)
            except asyncio.CancelledError:
                await sending
                raise
            return handled
        finally:
            self._busy = False

    async def _pass(self) -> None:
        while True:
            async with self._database.session() as connection:
                due_at = await queue.next_look(connection, self._served)
            if due_at is None or due_at > self._clock.now():
                self._alarm.ring_at(due_at)
                return
            if not await self.send_due(await self._fence.passed()):
                await asyncio.sleep(0.05)  # another transaction has it locked

    # Claiming ---------------------------------------------------------------------------------------------------------

    async def _claim(self, connection: AsyncConnection, until: datetime) -> tuple[int, list[Attempt]]:
        """Judge what is due; write down what waits, what will never go out, and what is about to be sent."""
        now = self._clock.now()
        lapsed = await queue.take_lapsed(connection, now)
        writes = Writes()
        _tell_unknown(writes, [(gone.course_id, gone.text_id) for gone in lapsed], now)
        claimed = await queue.claim_due(connection, until, self._served, BATCH)
        if not claimed:
            await writes.run(connection)
            return len(lapsed), []
        courses = await store.load_courses(connection, {course_id for course_id, _, _ in claimed})
        ids = sorted({course.patient_id for course in courses.values() if course.patient_id})
        contacts, changing = await queue.contacts_at_rest(connection, ids)
        claim = Claim(now)
        for course_id, text_id, attempts in claimed:
            course = courses[course_id]
            text = course.text(text_id)
            if text is None or text.contact_id in changing:
                continue
            place, contact = self._places[course.location or ""], contacts.get(text.contact_id)
            courses[course_id] = claim.settle(course, text, place, contact, attempts + 1)
        for changes in (claim.waits, claim.suppressions, claim.sendings):
            queue.update_texts(writes, changes)
        attention.add(writes, claim.attention, now)
        outbox.add(writes, claim.outgoing, now)
        await writes.run(connection)
        crash.step("dispatch.claimed")
        return len(lapsed) + claim.handled, claim.attempts

    # Sending and recording --------------------------------------------------------------------------------------------

    async def _send(self, attempts: Sequence[Attempt]) -> None:
        """Send all at once; outcomes that come while others are being recorded are recorded together."""
        waiting = {asyncio.create_task(self._send_one(attempt)) for attempt in attempts}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            outcomes = [task.result() for task in done]
            crash.step("dispatch.sent")
            await self._record(outcomes)

    async def _send_one(self, attempt: Attempt) -> tuple[Attempt, Outcome]:
        try:
            return attempt, await self._sender.send(attempt.outgoing)
        except Exception:
            log.exception("a sender failed", extra={"service": SERVICE, "text_id": attempt.text.text_id})
            return attempt, Unknown("defect")

    async def _record(self, outcomes: Sequence[tuple[Attempt, Outcome]]) -> None:
        for pause in PAUSES:
            try:
                await self._record_once(outcomes)
            except (SQLAlchemyError, OSError) as trouble:
                log.warning("outcomes wait: %s", type(trouble).__name__, extra={"service": SERVICE})
                await asyncio.sleep(pause)
            else:
                crash.step("dispatch.recorded")
                self._published()
                return
        log.error("outcomes are lost: the texts go to a person", extra={"service": SERVICE})

    async def _record_once(self, outcomes: Sequence[tuple[Attempt, Outcome]]) -> None:
        now = self._clock.now()
        async with self._database.begin() as connection:
            await store.lock_courses(connection, {attempt.course_id for attempt, _ in outcomes})
            waiting = await queue.unsettled(connection, [attempt.outgoing.attempt_id for attempt, _ in outcomes])
            settled = [(a, outcome) for a, outcome in outcomes if a.outgoing.attempt_id in waiting]
            writes = Writes()
            queue.update_texts(writes, [record_of(attempt, outcome, now) for attempt, outcome in settled])
            outgoing = [
                publication_of(attempt.course_id, attempt.text, event, now, str(attempt.outgoing.attempt_id))
                for attempt, outcome in settled
                if (event := event_of(attempt, outcome)) is not None
            ]
            for attempt, outcome in settled:
                if outcome == Refused(OPTED_OUT):
                    outgoing += await _opt_out(connection, attempt, now)
            outbox.add(writes, outgoing, now)
            unknown = [(a.course_id, a.text.text_id) for a, outcome in settled if isinstance(outcome, Unknown)]
            _tell_unknown(writes, unknown, now)
            await writes.run(connection)
        for _, outcome in settled:
            metrics.TEXTS.labels(type(outcome).__name__.lower()).inc()


def _tell_unknown(writes: Writes, texts: Sequence[tuple[UUID, UUID]], now: datetime) -> None:
    detail = "the provider may or may not have sent it: it is not sent again"
    raised = [(f"{COURSE}{course}", Attention("text_outcome_unknown", str(text), detail)) for course, text in texts]
    attention.add(writes, raised, now)
    metrics.ATTENTION.labels(SERVICE, "text_outcome_unknown").inc(len(raised))


async def _opt_out(connection: AsyncConnection, attempt: Attempt, now: datetime) -> list[outbox.Outgoing]:
    """The carrier says that this number has opted out: write it into the ledger, if it is still the person's."""
    found = await store.load_contacts(connection, [attempt.text.contact_id], "FOR UPDATE OF contacts")
    before = found.get(attempt.text.contact_id)
    if before is None or before.phone != attempt.outgoing.to:
        return []
    after = opt_out(before, OPTED_OUT, CARRIER, now)
    writes = Writes()  # at once: the next outcome may be about the same person
    store.save_contacts(writes, [after])
    await writes.run(connection)
    once = str(attempt.outgoing.attempt_id)
    return [
        publication_of(attempt.course_id, attempt.text, event, now, once)
        for event in consent_events(before, after, CARRIER)
    ]
