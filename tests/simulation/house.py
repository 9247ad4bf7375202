"""Three services in this process, on real databases, a real Kafka and one stepped clock; each can fail and return."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from deploy.local.embedded import SERVICES
from deploy.local.stepping import Walk
from deploy.preparing.profiles import PROFILES
from services.billing import main as billing
from services.billing.settings import BillingSettings
from services.booking import main as booking
from services.booking.settings import BookingSettings
from services.reminders import main as reminders
from services.reminders.sending.sender import ConsoleSender
from services.reminders.settings import RemindersSettings
from services.reminders.text.provider import OutgoingText
from shared.decision.clock import SteppedClock
from shared.decision.message import Message, headers_of
from shared.postgres.pool import TROUBLE
from shared.service.service import Service
from shared.worker.service_rules import HTTP
from shared.worker.worker import InFlight
from tests.failures.checker import check
from tests.failures.evidence import Ends
from tests.simulation.story import Act, Cut, Garbage, Restart, Step, Story
from tests.stand_ins.kafka_clients import begin_at_the_end


class House:
    """Chairtime for stories that follow one another.

    Args:
        start: what the clock shows at first.
    """

    def __init__(self, urls: Mapping[str, str], kafka: str, start: datetime) -> None:
        self.clock = SteppedClock(start)
        self.sent: list[OutgoingText] = []
        self.urls = urls
        self.kafka = kafka
        self.since: Ends = {}
        self._services: list[Service[Any, Any]] = []
        self._walk = Walk(self.clock, self._services)
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)

    async def start(self) -> None:
        """Begin with empty databases; what stands on the topics already is nobody's."""
        self.since = await begin_at_the_end(self.kafka)
        await self._producer.start()
        self._services[:] = [self._build(name) for name in SERVICES]
        await asyncio.gather(*(service.start() for service in self._services))

    async def stop(self) -> None:
        """Let go of everything."""
        await asyncio.gather(*(service.stop() for service in self._services))
        await self._producer.stop()

    async def play(self, story: Story) -> None:
        """A whole story, until there is nothing left to do."""
        rng = random.Random(story.seed)
        for at, steps in story.by_instant():
            await self._walk.to(max(at, self.clock.now()))
            faults = [step for step in steps if isinstance(step, Restart | Cut)]
            work = (self._do(step) for step in steps if not isinstance(step, Restart | Cut))
            await asyncio.gather(self._fail(faults, rng), *work)
        await self._walk.to(story.end)

    async def violations(self, canaries: Sequence[str]) -> list[str]:
        """Which promises were broken by now, in all stories that this house has seen, and which rules failed."""
        broken = await check(self.urls, self.kafka, canaries=canaries, sent=self.sent, since=self.since, patience=5)
        for service, url in self.urls.items():
            connection = await asyncpg.connect(url)
            letters = await connection.fetch("SELECT * FROM dead_letters WHERE kind <> 'unreadable'")
            await connection.close()
            broken += [
                f"{service}: {row['error_type']} on {row['message_id']} of {row['aggregate']}" for row in letters
            ]
        return broken

    async def _do(self, step: Step) -> None:
        match step:
            case Act():
                await (self._submit(step) if step.by_http else self._publish(step))
            case Garbage(topic=topic, key=key, value=value):
                await self._producer.send_and_wait(topic, value, key=key.encode())

    async def _fail(self, faults: Sequence[Restart | Cut], rng: random.Random) -> None:
        """One fault after the other, each somewhere in the middle of the work that the rest makes."""
        for fault in faults:
            await asyncio.sleep(rng.uniform(0, 0.03))
            if isinstance(fault, Cut):
                await self._cut(fault.service)
            else:
                place = SERVICES.index(fault.service)
                await self._services[place].stop()
                await asyncio.sleep(rng.choice((0, 0.3)))  # the others go on meanwhile, and pile up work
                self._services[place] = self._build(fault.service)
                await self._services[place].start()

    async def _publish(self, act: Act) -> None:
        headers = headers_of(act.data, act.id, "simulation", self.clock.now(), None)
        value = act.data.model_dump_json(exclude_none=True).encode()
        for _ in range(act.times):
            await self._producer.send(act.data.topic, value, key=act.data.key.encode(), headers=headers)
        await self._producer.flush()

    async def _submit(self, act: Act) -> None:
        """As a client does over HTTP: again with the same key, until there is an answer."""
        now = self.clock.now()
        message = Message(f"http-{act.id}", act.data.type, HTTP, now, now, act.data)
        while True:
            service = self._services[SERVICES.index("billing" if "payment" in act.data.type else "booking")]
            try:
                for _ in range(act.times):
                    await service.worker.submit(message)
                return
            except (InFlight, *TROUBLE):  # the same act at the same instant: one of them is answered first
                await asyncio.sleep(0.05)

    async def _cut(self, name: str) -> None:
        connection = await asyncpg.connect(self.urls[name])
        try:
            await connection.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"""
            )
        finally:
            await connection.close()

    def _build(self, name: str) -> Service[Any, Any]:
        common: dict[str, Any] = {"kafka": self.kafka, "profiles": PROFILES, f"{name}_database": self.urls[name]}
        match name:
            case "booking":
                app = booking.build(BookingSettings(**common), self.clock)
            case "billing":
                app = billing.build(BillingSettings(**common), self.clock)
            case _:
                app = reminders.build(RemindersSettings(**common), self.clock, ConsoleSender(self.sent.append))
        service: Service[Any, Any] = app.state.service
        return service


@asynccontextmanager
async def house(urls: Mapping[str, str], kafka: str, start: datetime) -> AsyncIterator[House]:
    """A house from its start to its end."""
    built = House(urls, kafka, start)
    await built.start()
    try:
        yield built
    finally:
        await built.stop()
