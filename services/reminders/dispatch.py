"""Sends what is due: claim, look again, write the attempt down, commit, send, record.

No provider is called inside a transaction, and nothing goes out before the fence is passed. A text whose outcome
nobody can know is never sent again: it goes to a person.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reminders import metrics, pauses, queue, settling, store
from services.reminders.attempt import Attempt, Claim, Due, Room, about
from services.reminders.course import Text
from services.reminders.profile import Places
from services.reminders.rules import SERVICE
from services.reminders.settling import Settling
from services.reminders.sms import Outcome, Sender, Unknown
from shared import attention, crash, outbox
from shared.clock import Alarm, Clock
from shared.contract import TextKind
from shared.database import Database, Writes
from shared.timers import Fence

log = logging.getLogger(__name__)

BATCH: Final = 100
"""Texts claimed, and then sent, at the same time."""

REST: Final = 0.02
"""Seconds between two looks at what is due; commits come faster than that."""


class Dispatch:
    """Sends due texts. `run` goes on until cancelled; while Kafka is away texts wait.

    Args:
        alarm: wakes the loop.
        published: called when the outbox has something new.
        settles: writes down what became of them.
        rates: segments a second that the number of each clinic may send; of others any number.
    """

    def __init__(
        self,
        database: Database,
        fence: Fence,
        clock: Clock,
        alarm: Alarm,
        published: Callable[[], None],
        sender: Sender,
        settles: Settling,
        places: Places,
        rates: Mapping[str, float],
    ) -> None:
        self._database = database
        self._fence = fence
        self._clock = clock
        self._alarm = alarm
        self._published = published
        self._sender = sender
        self._settling = settles
        self._places = places
        self._rates = rates
        self._served = sorted(places)
        self._clinics = {location: place.clinic for location, place in places.items()}
        self._busy = False
        self._passes = 0
        self._search: asyncio.Task[None] | None = None

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
            if self._search is not None:
                self._search.cancel()
                await asyncio.gather(self._search, return_exceptions=True)
            await self._sender.close()

    async def next_due(self, connection: AsyncConnection) -> datetime | None:
        """When the next text must be looked at; now, while one is being sent."""
        while True:
            passes = self._passes
            look_at = await queue.next_look(connection, self._served)
            if self._busy or self._searching:
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
            self._look_for_lost()
            if not await self.send_due(await self._fence.passed()):
                await asyncio.sleep(0.05)  # another transaction has it locked, or the sender's rate is used up

    def _look_for_lost(self) -> None:
        """Beside the sending, which must not wait for the provider's list."""
        if self._sender.traceable and not self._searching:
            search = self._settling.search(self._sender, self._clinics, self._clock.now())
            self._search = asyncio.create_task(search, name="reminders-search")

    @property
    def _searching(self) -> bool:
        return self._search is not None and not self._search.done()

    # Claiming ---------------------------------------------------------------------------------------------------------

    async def _claim(self, connection: AsyncConnection, until: datetime) -> tuple[int, list[Attempt]]:
        """Judge what is due; write down what waits, what will never go out, and what is about to be sent."""
        now = self._clock.now()
        writes = Writes()
        lapsed = await queue.take_lapsed(connection, now, self._sender.traceable)
        if not self._sender.traceable:
            settling.tell_unknown(writes, lapsed, now)
        paused = await pauses.in_force(connection)
        room = Room(await queue.room(connection, self._rates) if self._rates else {})
        full = self._rates.keys() - room.left.keys()
        served = [location for location in self._served if self._clinics[location] not in full]
        answers = await queue.claim_answers(connection, until, served, BATCH)
        claimed = await queue.claim_due(connection, until, served, BATCH)
        if not claimed and not answers:
            await writes.run(connection)
            return len(lapsed), []
        courses = await store.load_courses(connection, {course_id for course_id, _, _ in claimed})
        texts: list[tuple[Text, UUID | None, int]] = [(text, None, attempts) for text, attempts in answers]
        for course_id, text_id, attempts in claimed:
            if (text := courses[course_id].text(text_id)) is not None:
                texts.append((text, course_id, attempts))
        people = sorted({text.contact_id for text, _, _ in texts})
        contacts, changing = await queue.contacts_at_rest(connection, people)
        boosters = [(id, text.contact_id) for text, id, _ in texts if id and text.kind is TextKind.BOOSTER_DUE]
        expected = await queue.expected_again(connection, boosters) if boosters else frozenset[str]()
        claim = Claim(now, paused, room, expected)
        for text, of, attempts in texts:
            if text.contact_id in changing:
                continue
            course = courses[of] if of else None
            place = self._places[(course.location if course else text.location) or ""]
            after = claim.settle(Due(text, course, contacts.get(text.contact_id), place, attempts + 1))
            if after is not None:
                courses[after.course_id] = after
        for changes in (claim.waits, claim.suppressions, claim.sendings):
            queue.update_texts(writes, changes)
        queue.take_room(writes, room.taken, self._rates)
        attention.add(writes, claim.attention, now)
        outbox.add(writes, claim.outgoing, now)
        await writes.run(connection)
        crash.step("dispatch.claimed")
        return len(lapsed) + claim.handled, claim.attempts

    # Sending --------------------------------------------------------------------------------------------------------

    async def _send(self, attempts: Sequence[Attempt]) -> None:
        """Send all at once; outcomes that come while others are being recorded are recorded together."""
        waiting = {asyncio.create_task(self._send_one(attempt)) for attempt in attempts}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            outcomes = [task.result() for task in done]
            crash.step("dispatch.sent")
            await self._settling.record(outcomes)

    async def _send_one(self, attempt: Attempt) -> tuple[Attempt, Outcome]:
        with metrics.PROVIDER_SECONDS.time():
            try:
                return attempt, await self._sender.send(attempt.outgoing)
            except Exception:
                log.exception("a sender failed", extra=about(attempt.of.course_id, attempt.of.text))
                return attempt, Unknown("defect")
