"""The billing service on a real PostgreSQL, without Kafka: records go in by hand, and the clock is moved by hand."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from fastapi import FastAPI

from services.billing.main import build
from services.billing.settings import BillingSettings
from shared.configuration.settings import read_settings
from shared.contract.register import EventData
from shared.decision.message import Message, Record, headers_of
from shared.postgres.query import rows
from shared.service.service import Service
from shared.worker.service_rules import HTTP
from tests.facts.course import NOW
from tests.stand_ins.billed_clinics import PROFILES
from tests.stand_ins.callers import key_of, served


class HandClock:
    """Shows what the test says; what reached Kafka later than that reached it now."""

    def __init__(self) -> None:
        self.shown = NOW

    def now(self) -> datetime:
        return self.shown

    def at(self, wall: datetime) -> datetime:
        return min(wall, self.shown)


class Billing:
    """The service without Kafka: records go in by hand, events are read from the outbox."""

    def __init__(self, app: FastAPI, clock: HandClock, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.service: Service[Any, Any] = app.state.service
        self.clock = clock
        self.client = client
        self._offsets = itertools.count()

    async def hear(self, *events: EventData, at: datetime = NOW) -> None:
        """One batch from Kafka, arrived at `at`."""
        self.clock.shown = max(self.clock.shown, at)
        await self.service.worker.on_records([self.record(event, at) for event in events])

    async def take(self, *messages: EventData) -> None:
        """One after the other: those that travel from Kafka in a batch, a request as it comes by HTTP."""
        batch = [message for message in messages if hasattr(message, "topic")]
        await self.hear(*batch)
        for number, request in enumerate(messages):
            if request not in batch:
                at = self.clock.now()
                await self.service.worker.submit(Message(f"http-{number}", request.type, HTTP, at, at, request))

    def record(self, event: EventData, at: datetime = NOW, id: str | None = None) -> Record:
        """An event as it stands on Kafka."""
        headers = tuple(headers_of(event, id or str(uuid4()), "test", at, None))
        value = event.model_dump_json(exclude_none=True).encode()
        millis = int(at.timestamp() * 1000)
        return Record(event.topic, 0, next(self._offsets), millis, event.key.encode(), value, headers)

    async def erase(self, patient_id: str) -> None:
        """A null value for a patient."""
        millis = int(self.clock.shown.timestamp() * 1000)
        record = Record("clinic.patients", 0, next(self._offsets), millis, patient_id.encode(), None, ())
        await self.service.worker.on_records([record])

    async def until(self, to: datetime) -> None:
        """Let time pass and fire what is due, the fence being passed."""
        self.clock.shown = to
        while await self.service.worker.on_timers(to):
            pass

    async def query(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """Rows of a query by the service's own role."""
        async with self.service.database.begin() as connection:
            return await rows(connection, sql, **parameters)

    async def published(self) -> list[str]:
        """The types of all events so far, short, in their order."""
        found = await self.query("SELECT convert_from(headers, 'UTF8') AS headers FROM outbox ORDER BY id")
        names = [row.headers.split('["ce_type","')[1].split('"')[0] for row in found]
        return [name.removeprefix("billing.").removesuffix(".v1") for name in names]

    async def get(self, path: str, role: str = "till") -> httpx2.Response:
        """Look."""
        return await self.client.get(path, headers={"Authorization": f"Bearer {key_of(role)}"})

    async def post(
        self, body: Any, key: str = "k-1", role: str = "till", path: str = "/v1/payments"
    ) -> httpx2.Response:
        """Ask for something."""
        headers = {"Authorization": f"Bearer {key_of(role)}", "Idempotency-Key": key}
        return await self.client.post(path, json=body, headers=headers)


@asynccontextmanager
async def running(url: str, keys: Path, on_a_socket: bool = False) -> AsyncIterator[Billing]:
    """Billing on a database.

    Args:
        on_a_socket: let it listen, for clients that are not asynchronous.
    """
    settings = read_settings(
        BillingSettings, kafka="127.0.0.1:1", billing_database=url, profiles=PROFILES, api_keys=keys
    )
    clock = HandClock()
    app = build(settings, clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.state.service.stop)
        address = await stack.enter_async_context(served(app)) if on_a_socket else "http://billing"
        transport = None if on_a_socket else httpx2.ASGITransport(app=app)
        client = httpx2.AsyncClient(transport=transport, base_url=address)
        yield Billing(app, clock, await stack.enter_async_context(client))
