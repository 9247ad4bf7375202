"""Booking's HTTP for tests: the real app on a real database. The clock is set, and events are put in by hand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI

from services.booking.main import build
from services.booking.settings import BookingSettings
from shared.configuration.api_keys import Role
from shared.contract.register import EventData
from shared.postgres.query import rows
from shared.service.service import Service
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, HOUR, NOW, session_id, start
from tests.stand_ins.callers import key_of, served
from tests.stand_ins.clinics import CLINICS
from tests.stand_ins.road import SetClock, record

ROLES: Final = tuple(Role)
COURSES: Final = "/v1/courses"
COURSE_PATH: Final = f"/v1/courses/{COURSE}"
SESSION_PATH: Final = f"/v1/sessions/{session_id(1)}"
HERE: Final = {"at": start(1).isoformat()}
"""The body of a check-in."""

NOBODY: Final = "00000000-0000-4000-8000-00000000dead"
SECRET: Final = "Canary Q. Patient"
"""Stands for whatever somebody puts where it does not belong."""


def wish(count: int = 1, course: UUID = COURSE, **told: Any) -> dict[str, Any]:
    """The body that requests a course at Stella; a field that is told as None is left out."""
    return course_requested(count, course, **told).model_dump(mode="json", exclude_none=True)


def course_at(hour: int) -> dict[str, Any]:
    """A course of one session on the first day, by a patient of its own, so many hours later."""
    course = UUID(int=COURSE.int + hour)
    starts_at = (start(1) + hour * HOUR).isoformat()
    return wish(course=course, sessions=[{"session_id": str(session_id(1, course)), "starts_at": starts_at}])


@dataclass(frozen=True)
class Desk:
    """Somebody at the desk, who calls booking."""

    app: FastAPI
    clock: SetClock
    client: httpx2.AsyncClient

    @property
    def service(self) -> Service[Any, Any]:
        service: Service[Any, Any] = self.app.state.service
        return service

    async def get(self, path: str, role: str = "front_desk", **parameters: Any) -> httpx2.Response:
        """Look."""
        headers = {"Authorization": f"Bearer {key_of(role)}"}
        return await self.client.get(path, params=parameters or None, headers=headers)

    async def post(
        self, path: str, body: Any = None, key: str | None = None, role: str = "front_desk", method: str = "POST"
    ) -> httpx2.Response:
        """Ask, as somebody new unless there is a key. `body` is JSON, or bytes as they are."""
        headers = {"Authorization": f"Bearer {key_of(role)}", "Idempotency-Key": key or str(uuid4())}
        told = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.request(method, path, headers=headers, **told)

    async def hear(self, *events: EventData) -> None:
        """One batch from Kafka."""
        await self.service.worker.on_records([record(event, at=self.clock.now()) for event in events])

    async def timers(self, until: datetime) -> None:
        """Let time pass and deliver what falls due."""
        self.clock.time = until
        while await self.service.worker.on_timers(until):
            pass

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """What stands in the database."""
        async with self.service.database.begin() as connection:
            return await rows(connection, sql, **parameters)


@asynccontextmanager
async def desk(url: str, keys: Path, *, on_a_socket: bool = False) -> AsyncIterator[Desk]:
    """The app of one replica, spoken to directly or over a socket."""
    clock = SetClock(NOW)
    settings = BookingSettings(kafka="127.0.0.1:1", booking_database=url, profiles=CLINICS, api_keys=keys)
    app = build(settings, clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.state.service.stop)
        address = await stack.enter_async_context(served(app)) if on_a_socket else "http://booking"
        transport = None if on_a_socket else httpx2.ASGITransport(app=app)
        limits = httpx2.Limits(max_connections=100)
        client = httpx2.AsyncClient(transport=transport, base_url=address, limits=limits, timeout=60)
        yield Desk(app, clock, await stack.enter_async_context(client))


async def free(booking: Desk, **parameters: Any) -> list[dict[str, Any]]:
    """Free places at Stella, on the day of the first session where no other is told."""
    asked = {
        "location": "stella",
        "treatment": "ketamine_induction",
        "first_day": "2026-03-10",
        "last_day": "2026-03-10",
    }
    answer = await booking.get("/v1/availability", **asked | parameters)
    assert answer.status_code == 200, answer.text
    places: list[dict[str, Any]] = answer.json()
    return places
