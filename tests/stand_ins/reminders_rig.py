"""The reminders service on a real PostgreSQL, without Kafka, with a clock that is moved by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import orjson
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from services.reminders.main import rules_of
from services.reminders.rules.course import Course
from services.reminders.sending.dispatch import Dispatch
from services.reminders.sending.sender import Sender
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.store import courses
from services.reminders.text.provider import Accepted, Found, Outcome, OutgoingText, Sought
from services.reminders.text.text import TextState
from shared.contract.closed_sets import TextKind
from shared.contract.register import EventData
from shared.decision.clock import SteppedClock
from shared.decision.message import Message, Record, headers_of
from shared.postgres.pool import Database
from shared.postgres.query import rows, run
from shared.worker.alarm import Alarm
from shared.worker.worker import Worker
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import COURSE, NOW, PATIENT
from tests.stand_ins.reminders_story import PLACES


class ScriptedSender:
    """Answers with what it is told to, and can be made to wait; `listed` is what it finds afterwards."""

    traceable = False

    def __init__(self) -> None:
        self.listed: list[Found] = []
        self.sought: list[Sought] = []
        self.texts: list[OutgoingText] = []
        self.outcome: Outcome | None = None
        self.before: Callable[[], Awaitable[object]] | None = None

    async def send(self, text: OutgoingText) -> Outcome:
        self.texts.append(text)
        if self.before is not None:
            await self.before()
        return self.outcome or Accepted(f"SM{text.attempt_id.hex}")

    async def find(self, sought: Sought) -> list[Found]:
        self.sought.append(sought)
        return self.listed

    async def close(self) -> None:
        pass


class OpenFence:
    """Everything has been heard."""

    def __init__(self, clock: SteppedClock) -> None:
        self._clock = clock

    async def passed(self) -> datetime:
        return self._clock.now()


class Rig:
    """The reminders service without Kafka: its database, its road, its dispatch, and a clock that is moved by hand."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.clock = SteppedClock(NOW)
        self.sender = ScriptedSender()
        self.worker = Worker(rules_of(PLACES), self.database, self.clock, lambda **_: None)
        self.dispatch = self.dispatcher(self.sender)
        self._offset = 0

    def dispatcher(self, sender: Sender, rates: Mapping[str, float] = MappingProxyType({})) -> Dispatch:
        """One more replica."""
        alarm = Alarm(AsyncIOScheduler(timezone="UTC"), self.clock, str(uuid4()))
        fence: Any = OpenFence(self.clock)
        writer = OutcomeWriter(self.database, self.clock, lambda: None, sender.traceable)
        return Dispatch(self.database, fence, self.clock, alarm, lambda: None, sender, writer, PLACES, rates)

    async def hear(self, *events: EventData) -> None:
        """A batch from Kafka; it arrives now by our clock."""
        records = []
        for event in events:
            self._offset += 1
            headers: Any = headers_of(event, str(uuid4()), "test", self.clock.now(), None)
            stamp = int(time.time() * 1000) + 1000
            topic, key, value = event.__class__.topic, event.key.encode(), event.model_dump_json().encode()
            records.append(Record(topic, 0, self._offset, stamp, key, value, tuple(headers)))
        await self.worker.on_records(records)

    async def say(self, data: EventData) -> None:
        """By HTTP, or because the person wrote."""
        now = self.clock.now()
        await self.worker.submit(Message(str(uuid4()), data.type, "http", now, now, data))

    async def erase(self) -> None:
        """The null value for the patient."""
        self._offset += 1
        stamp = int(time.time() * 1000) + 1000
        await self.worker.on_records([Record("clinic.contacts", 0, self._offset, stamp, PATIENT.encode(), None, ())])

    async def walk(self, to: datetime) -> None:
        """Through every due instant up to one."""
        while (due_at := await self.next_due()) is not None and due_at <= to:
            self.clock.move(max(due_at, self.clock.now()))
            await self.send()
        self.clock.move(to)

    async def send(self, *others: Dispatch) -> None:
        """Send what is due now, with other replicas at the same time, until nothing is due or under way."""
        replicas = (self.dispatch, *others)
        while await self._busy(replicas):
            await asyncio.gather(*(replica.hand_over_due() for replica in replicas))
            await asyncio.gather(*(replica._sending.settled() for replica in replicas))
            await asyncio.sleep(0.001)  # a search of the provider's list may be under way

    async def _busy(self, replicas: Iterable[Dispatch]) -> bool:
        async with self.database.begin() as connection:
            dues = [await replica.next_due(connection) for replica in replicas]
        return any(due_at is not None and due_at <= self.clock.now() for due_at in dues)

    async def next_due(self) -> datetime | None:
        async with self.database.begin() as connection:
            return await self.dispatch.next_due(connection)

    async def course(self) -> Course:
        async with self.database.begin() as connection:
            return (await courses.load_courses(connection, [COURSE]))[COURSE]

    async def became(self) -> dict[TextKind, tuple[TextState, str | None]]:
        """Each kind of text with its state and reason; the newest version's, where there are several."""
        texts = sorted((await self.course()).texts, key=lambda t: t.session_version or 0)
        return {text.kind: (text.state, text.reason) for text in texts}

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of what stands in the outbox."""
        async with self.database.begin() as connection:
            found = await rows(connection, "SELECT headers, value FROM outbox WHERE value IS NOT NULL ORDER BY id")
        return [(dict(orjson.loads(row.headers))["ce_type"], orjson.loads(row.value)) for row in found]

    async def attention(self) -> list[str]:
        async with self.database.begin() as connection:
            return [row.kind for row in await rows(connection, "SELECT kind FROM attention ORDER BY kind")]

    async def planned(self) -> None:
        """A patient who agreed, and one confirmed session."""
        await self.hear(contact_updated(), course_accepted(1), session_confirmed())


@asynccontextmanager
async def open_rig(url: str) -> AsyncIterator[Rig]:
    """A rig on an empty database."""
    admin = Database(url.replace("reminders@", "postgres@", 1))
    async with admin.begin() as connection:
        tables = (
            "inbox, heard, outbox, timers, dead_letters, attention, courses, sessions, contacts, consents, numbers, "
            "texts, pauses, senders, stops, phones, replies, stray_reports, audit"
        )
        await run(connection, f"TRUNCATE {tables}")
    await admin.close()
    rig = Rig(url)
    try:
        yield rig
    finally:
        await rig.database.close()
