"""Sends what is due: claim, look again, write the attempt down, commit, send, record.

No provider is called inside a transaction, and nothing goes out before the fence is passed. A text whose outcome
nobody can know is never sent again: it goes to a person.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from math import ceil
from typing import Final

from aiokafka.errors import KafkaError

from services.reminders.rules.judging import Claim, Due, Room
from services.reminders.rules.stops import Stops, stop_of, tried
from services.reminders.sending import counters
from services.reminders.sending.calls import Sending
from services.reminders.sending.sender import Sender
from services.reminders.sending.settling import OutcomeWriter, tell_unknown
from services.reminders.store import attempts, pauses, queue, stops
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.clinic import Places
from shared.contract.closed_sets import TextKind
from shared.decision.clock import Clock
from shared.instruments import crash
from shared.postgres.pool import TROUBLE, Database
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.tables import attention, outbox
from shared.worker.alarm import Alarm
from shared.worker.fence import Fence

log = logging.getLogger(__name__)

BATCH: Final = 500
"""Texts claimed at the same time."""

REST: Final = 0.02
"""Seconds between two looks at what is due; commits come faster than that."""


class Dispatch:
    """Sends due texts. `run` goes on until cancelled; while Kafka is away texts wait.

    Args:
        alarm: wakes the loop.
        published: called when the outbox has something new.
        writer: writes down what became of them.
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
        writer: OutcomeWriter,
        places: Places,
        rates: Mapping[str, float],
    ) -> None:
        self._database = database
        self._fence = fence
        self._clock = clock
        self._alarm = alarm
        self._published = published
        self._sender = sender
        self._writer = writer
        self._sending = Sending(sender, writer)
        self._places = places
        self._rates = rates
        self._served = sorted(places)
        self._clinics = {location: place.clinic for location, place in places.items()}
        self._claims = 0  # begun
        self._claiming = False
        self._search: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Send what is due, sleep until the next text, again."""
        try:
            while True:
                try:
                    await self.hand_over_due()
                    await self._alarm.wait(REST)
                except (*TROUBLE, KafkaError) as trouble:
                    log.warning("texts wait: %s", type(trouble).__name__, extra={"service": SERVICE})
                    await asyncio.sleep(1)
        finally:
            if self._search is not None:
                self._search.cancel()
                await asyncio.gather(self._search, return_exceptions=True)
            await self._sending.settled()
            await self._sender.close()

    async def next_due(self, connection: Connection) -> datetime | None:
        """When the next text must be looked at; now, while one is being sent."""
        while True:
            so_far = (self._claims, self._sending.recorded)
            look_at = await self._next_claim_at(connection)
            if self._claiming or self._sending.busy or self._searching:
                return self._clock.now()
            if so_far == (self._claims, self._sending.recorded):  # else it may be what stood before a batch
                return look_at

    async def hand_over_due(self) -> None:
        """Begin to send what is due, one batch after the other until nothing is; what comes of it is not waited for."""
        while True:
            async with self._database.session() as connection:
                look_at = await self._next_claim_at(connection)
            if look_at is None or look_at > self._clock.now():
                self._alarm.ring_at(look_at)
                return
            self._look_for_lost()
            await self._sending.some_room()
            if not await self._hand_over(await self._fence.passed()):
                await asyncio.sleep(0.05)  # another transaction has it locked, or the sender's rate is used up

    async def _next_claim_at(self, connection: Connection) -> datetime | None:
        stopped = await stops.in_force(connection, locked=False)
        by_location = {location: stop_of(stopped, clinic) for location, clinic in self._clinics.items()}
        not_before = {location: stop.next_try_at for location, stop in by_location.items() if stop is not None}
        return await queue.next_claim_at(connection, self._served, not_before)

    async def _hand_over(self, until: datetime) -> int:
        """Claim one batch and begin to send it; returns how many texts are settled or on their way."""
        self._claims += 1
        self._claiming = True
        try:
            async with self._database.begin() as connection:
                handled, claim = await self._claim(connection, until)
            crash.step("dispatch.committed")
            counters.count_judged(claim)
            self._sending.hand_over(claim.attempts)
        finally:
            self._claiming = False
        if handled:
            self._published()
        return handled

    def _look_for_lost(self) -> None:
        """Beside the sending, which must not wait for the provider's list."""
        if self._sender.traceable and not self._searching:
            search = self._writer.search(self._sender, self._clinics, self._clock.now())
            self._search = asyncio.create_task(search, name="reminders-search")

    @property
    def _searching(self) -> bool:
        return self._search is not None and not self._search.done()

    @staticmethod
    def _may_send(clinic: str, full: Collection[str], stopped: Stops, now: datetime) -> bool:
        stop = stop_of(stopped, clinic)
        return clinic not in full and (stop is None or stop.next_try_at <= now)

    # Claiming ---------------------------------------------------------------------------------------------------------

    async def _claim(self, connection: Connection, until: datetime) -> tuple[int, Claim]:
        """Judge what is due; write down what waits, what will never go out, and what is about to be sent."""
        now = self._clock.now()
        writes = Writes()
        lapsed = await attempts.take_lapsed(connection, now, self._sender.traceable)
        if not self._sender.traceable:
            tell_unknown(writes, lapsed, now)
        paused = await pauses.in_force(connection)
        stopped = await stops.in_force(connection)
        room = Room(await queue.room(connection, self._rates) if self._rates else {})
        full = self._rates.keys() - room.left.keys()
        served = [location for location in self._served if self._may_send(self._clinics[location], full, stopped, now)]
        most = min(BATCH, self._sending.room)
        if self._rates:  # what finds no room would be locked and looked at for nothing
            most = min(most, max(1, ceil(sum(room.left.values()))))
        texts = await queue.claim(connection, until, served, most)
        if not texts:
            await writes.run(connection)
            return len(lapsed), Claim(now)
        courses = await queue.courses_of(connection, {of for _, of, _ in texts if of})
        people = sorted({text.contact_id for text, _, _ in texts})
        contacts, changing = await queue.contacts_at_rest(connection, people)
        boosters = [(id, text.contact_id) for text, id, _ in texts if id and text.kind is TextKind.BOOSTER_DUE]
        expected = await queue.expected_again(connection, boosters) if boosters else frozenset[str]()
        claim = Claim(now, paused, room, expected)
        for text, of, attempts_before in texts:
            if text.contact_id in changing:
                continue
            course = courses[of] if of else None
            place = self._places[(course.location if course else text.location) or ""]
            stop = stop_of(stopped, place.clinic) if stopped else None
            if stop is not None and stop.next_try_at > now:
                continue  # one of this batch tries already
            so_far = len(claim.attempts)
            after = claim.judge_one(Due(text, course, contacts.get(text.contact_id), place, attempts_before + 1))
            if stop is not None and len(claim.attempts) > so_far:
                stopped[stop.clinic] = tried(stop, now)
                stops.keep(writes, [stopped[stop.clinic]])
            if after is not None:
                courses[after.course_id] = after
        for changes in (claim.waits, claim.suppressions, claim.sendings):
            queue.update_texts(writes, changes)
        queue.take_room(writes, room.taken, self._rates)
        attention.add(writes, claim.attention, now)
        outbox.add(writes, claim.outgoing, now)
        await writes.run(connection)
        crash.step("dispatch.claimed")
        return len(lapsed) + claim.handled, claim
