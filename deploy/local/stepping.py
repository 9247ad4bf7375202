"""The stepped clock's walk: through every due instant in order, each settled before the next.

Settled means: everything on the topics has been heard, nothing is due, nothing waits to be published.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from shared.contract.fields import Instant
from shared.decision.clock import SteppedClock
from shared.http.problem import Problem
from shared.http.requests import read_body
from shared.postgres.pool import TROUBLE
from shared.service.service import Service

SETTLE_SECONDS: Final = 120
"""How long one instant may take before the walk gives up."""


class Unsettled(Exception):
    """Something does not come to rest: a service waits for Kafka or for its database."""


class KeptClock(SteppedClock):
    """A stepped clock that outlives its process: it begins at the wall's time, or where it stood when that is later.

    Args:
        file: holds the instant in RFC 3339; written whenever the clock moves.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        now = datetime.now(UTC)
        super().__init__(max(now, datetime.fromisoformat(file.read_text())) if file.exists() else now)

    def move(self, to: datetime) -> None:
        super().move(to)
        unfinished = self._file.with_suffix(".unfinished")  # in one step: we may be killed while we write
        unfinished.write_text(to.isoformat())
        unfinished.rename(self._file)


class Walk:
    """Moves the clock of all services together.

    `on_settled` is awaited at every instant once all is quiet there.
    """

    def __init__(self, clock: SteppedClock, services: Sequence[Service[Any, Any]]) -> None:
        self.clock = clock
        self.on_settled: Callable[[], Awaitable[None]] | None = None
        self._services = services
        self._one_at_a_time = asyncio.Lock()

    async def to(self, instant: datetime) -> datetime:
        """Walk to an instant; returns what the clock shows when all is quiet.

        Raises:
            ValueError: the instant has passed.
            Unsettled: all did not come to rest in time.
        """
        async with self._one_at_a_time:
            if instant < self.clock.now():
                raise ValueError("the clock cannot go back")
            due_at = await self._settle()
            while due_at is not None and due_at <= instant:
                self.clock.move(due_at)
                due_at = await self._settle()
            self.clock.move(instant)
            await self._settle()
            return self.clock.now()

    async def _settle(self) -> datetime | None:
        """Wait until all is quiet; returns when the next thing falls due."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    with contextlib.suppress(*TROUBLE):  # a database that is away is not quiet either
                        quiet, due_at = await self._look()
                        if quiet:
                            break
                    for service in self._services:
                        service.ring()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise Unsettled(f"all did not come to rest within {SETTLE_SECONDS} seconds") from None
        if self.on_settled is not None:
            await self.on_settled()
        return due_at

    async def _look(self) -> tuple[bool, datetime | None]:
        """In the order in which work flows, so that nothing slips through between two looks: heard, due, published.

        Returns:
            Whether all is quiet now, and the earliest instant at which something falls due.
        """
        heard = [await service.heard() for service in self._services]
        now = self.clock.now()
        dues = [due for service in self._services if (due := await service.next_due()) is not None]
        due_at = min(dues, default=None)
        if (due_at is not None and due_at <= now) or any([await service.unpublished() for service in self._services]):
            return False, due_at
        ends = await asyncio.gather(*(service.kafka.ends() for service in self._services))
        return all(
            partitions.get(partition, 0) >= end
            for partitions, of_topics in zip(heard, ends, strict=True)
            for partition, end in of_topics.items()
        ), due_at


class MoveTo(BaseModel):
    """Where the clock shall go."""

    to: Instant


def clock_routes(walk: Walk) -> APIRouter:
    """`/ops/clock`: there only while the clock is a stepped one, on this machine alone, so it asks for no key."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ops/clock")
    async def show() -> dict[str, datetime]:
        return {"now": walk.clock.now()}

    @router.post("/ops/clock")
    async def move(request: Request) -> dict[str, datetime]:
        wish = await read_body(request, MoveTo)
        try:
            return {"now": await walk.to(wish.to)}
        except ValueError:
            raise Problem(409, "clock_back", "the clock cannot go back") from None
        except Unsettled as error:
            raise Problem(503, "unsettled", str(error)) from None

    return router
