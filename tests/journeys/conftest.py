"""Journeys: all three services on a real Kafka and PostgreSQL, the stepped clock, and a clinic's own client outside."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from deploy.local.embedded import Address, Embedded
from deploy.operating.publish import ClinicSystem, Event
from services.reminders.text.provider import OutgoingText
from shared.contract.clinic import (
    ContactUpdated,
    CourseRequested,
    PatientCheckedIn,
    PatientUpdated,
    PaymentCaptured,
    RequestedSession,
    TreatmentCompleted,
)
from shared.contract.closed_sets import ContactKind
from shared.contract.register import EVENTS, EventData
from shared.contract.topics import DEAD_LETTER_TOPICS, SERVICE_TOPICS
from shared.kafka.cluster import Cluster
from tests.facts.clinic import (
    contact_updated,
    course_requested,
    patient_checked_in,
    patient_updated,
    payment_captured,
    treatment_completed,
)
from tests.failures.checker import check
from tests.stand_ins.kafka_clients import begin_at_the_end, places_of

CHICAGO = ZoneInfo("America/Chicago")


class Journey:
    """One clinic's day with Chairtime, seen from outside: publish, let time pass, look at what was published."""

    def __init__(self, embedded: Embedded, address: Address, texts: list[OutgoingText]) -> None:
        self.embedded = embedded
        self.address = address
        self.texts = texts
        self.events: list[tuple[datetime, EventData]] = []
        self.dead_letters: list[Any] = []
        assert embedded.walk is not None
        self._walk = embedded.walk
        self._system = ClinicSystem(Cluster(address.kafka))
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=address.kafka, enable_auto_commit=False, fetch_max_wait_ms=10
        )

    @property
    def now(self) -> datetime:
        """What the services' clock shows."""
        return self._walk.clock.now()

    async def start(self) -> None:
        """Listen to what the services write from now on."""
        await self._consumer.start()
        places = places_of(*SERVICE_TOPICS, *DEAD_LETTER_TOPICS)
        self._consumer.assign(places)
        await self._consumer.seek_to_end(*places)
        self._walk.on_settled = self._catch_up

    async def stop(self) -> None:
        """Stop listening."""
        await self._consumer.stop()

    async def publish(self, *facts: EventData, id: str | None = None) -> None:
        """Publish as the clinic does, and let the services come to rest."""
        events = [Event(id or str(uuid4()), "/tests", self.now, fact) for fact in facts]
        await asyncio.to_thread(self._system.publish, events)
        await self.pass_time(timedelta())

    async def publish_while_time_jumps(self, to: datetime, *facts: EventData) -> None:
        """Publish at the very moment at which the clock jumps: what falls due and the facts race each other."""
        events = [Event(str(uuid4()), "/tests", self.now, fact) for fact in facts]
        publishing = asyncio.create_task(asyncio.to_thread(self._system.publish, events))
        self._walk.clock.move(to)
        for service in self.embedded.services.values():
            service.ring()
        await publishing
        await self.pass_time(timedelta())

    async def pass_time(self, by: timedelta) -> None:
        """Walk through every due instant."""
        await self._walk.to(self.now + by)

    async def until(self, instant: datetime) -> None:
        """Walk to an instant."""
        await self._walk.to(instant)

    def told(self, type: type[EventData], **fields: Any) -> list[Any]:
        """Events of a type whose fields have these values."""
        return [
            event
            for _, event in self.events
            if isinstance(event, type) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    async def get(self, service: str, path: str) -> Any:
        """What a service answers over HTTP."""
        headers = {"Authorization": f"Bearer {self.address.api_key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(getattr(self.address, service) + path) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()

    async def page(self, service: str, path: str) -> str:
        """A page that a service prints."""
        headers = {"Authorization": f"Bearer {self.address.api_key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(getattr(self.address, service) + path) as answer,
        ):
            answer.raise_for_status()
            return await answer.text()

    async def post(self, service: str, path: str, body: dict[str, Any]) -> Any:
        """Ask a service for something over HTTP, and let the services come to rest."""
        headers = {"Authorization": f"Bearer {self.address.api_key}", "Idempotency-Key": str(uuid4())}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(getattr(self.address, service) + path, json=body) as answer,
        ):
            assert answer.ok, (answer.status, await answer.text())
            answered = await answer.json()
        await self.pass_time(timedelta())
        return answered

    async def states(self, course_id: UUID) -> list[str]:
        """The state of each session of a course, by number."""
        course = await self.get("booking", f"/v1/courses/{course_id}")
        return [session["state"] for session in course["sessions"]]

    async def _catch_up(self) -> None:
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        records: list[Any] = []
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            batches = await self._consumer.getmany(timeout_ms=50)
            records += [record for batch in batches.values() for record in batch]
        for record in sorted(records, key=lambda record: record.timestamp):
            if record.topic in DEAD_LETTER_TOPICS:
                self.dead_letters.append(record)
            else:
                model = EVENTS[dict(record.headers)["ce_type"].decode()]
                self.events.append((self.now, model.model_validate_json(record.value)))


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for one Chairtime; not `tmp_path`, which a second run of the tests may clear while this one uses it."""
    folder = Path(tempfile.mkdtemp(prefix="chairtime-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def journey(kafka: str, home: Path) -> AsyncIterator[Journey]:
    """A fresh Chairtime on the session's Kafka; at the journey's end every promise has been kept."""
    texts: list[OutgoingText] = []
    since = await begin_at_the_end(kafka)
    embedded = Embedded(home, kafka=kafka, stepped=True, show=texts.append)
    address = await embedded.start()
    travel = Journey(embedded, address, texts)
    try:
        await travel.start()
        yield travel
        assert await check(embedded.urls, kafka, sent=texts, since=since, patience=5) == []
    finally:
        await travel.stop()
        await embedded.stop()


class Course:
    """What a test's clinic knows of one of its courses, and the events that it publishes about it."""

    def __init__(self, starts: Sequence[datetime], package: str | None = None, treatment: str = "ketamine_induction"):
        self.id = uuid4()
        self.patient_id = f"patient-{uuid4().hex[:8]}"
        self.starts = list(starts)
        self.sessions = [uuid4() for _ in starts]
        self.package = package
        self.treatment = treatment
        self.location = "stella" if package else "albany"

    @property
    def requested(self) -> CourseRequested:
        """Please hold it."""
        return course_requested(
            course=self.id,
            patient_id=self.patient_id,
            location=self.location,
            treatment=self.treatment,
            package=self.package,
            sessions=tuple(
                RequestedSession(session_id=s, starts_at=at) for s, at in zip(self.sessions, self.starts, strict=True)
            ),
        )

    @property
    def patient(self) -> PatientUpdated:
        """Whom papers name."""
        return patient_updated(patient_id=self.patient_id)

    def contact(self, now: datetime, *, allowed: bool = True) -> ContactUpdated:
        """The patient may be texted, or not."""
        phone = f"+1630555{int(uuid4()) % 10_000:04d}"
        return contact_updated(allowed, now, self.patient_id, kind=ContactKind.PATIENT, phone=phone)

    def paid(self, now: datetime, amount_cents: int) -> PaymentCaptured:
        """The till took money."""
        return payment_captured(amount_cents, f"pay-{uuid4().hex[:12]}", now, course_id=self.id)

    def here(self, number: int) -> PatientCheckedIn:
        """The patient of a session (from 1) is here."""
        at = self.starts[number - 1]
        return patient_checked_in(course=self.id, session_id=self.sessions[number - 1], at=at, starts_at=at)

    def treated(self, number: int) -> TreatmentCompleted:
        """A session's (from 1) treatment is over."""
        at = self.starts[number - 1]
        return treatment_completed(
            course=self.id,
            session_id=self.sessions[number - 1],
            started_at=at + timedelta(minutes=10),
            ended_at=at + timedelta(minutes=50),
        )


def weekday_mornings(now: datetime, count: int, *, weeks_ahead: int = 1) -> list[datetime]:
    """Starts at 10:00 in Chicago on Mondays and Thursdays, from the first Monday that is two days away or more."""
    soon = now.astimezone(CHICAGO).date() + timedelta(days=2)
    monday = soon + timedelta(days=-soon.weekday() % 7 + 7 * (weeks_ahead - 1))
    days = [monday + timedelta(weeks=n // 2, days=3 * (n % 2)) for n in range(count)]
    return [datetime(day.year, day.month, day.day, 10, tzinfo=CHICAGO) for day in days]
