"""What wakes a loop: somebody who rings, or an instant that has come."""

import asyncio
from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from shared.decision.clock import Clock, WallClock


class Alarm:
    """A bell that one task waits for; rung by a commit, by another task, or at a due instant."""

    def __init__(self, scheduler: AsyncIOScheduler, clock: Clock, name: str) -> None:
        self._bell = asyncio.Event()
        self._scheduler = scheduler
        self._clock = clock
        self._name = name
        self._due_at: datetime | None = None
        scheduler.add_job(self._on_time, IntervalTrigger(seconds=1), id=f"{name}-poll", misfire_grace_time=None)

    async def wait(self, rest: float = 0) -> None:
        """Sleep until rung.

        Args:
            rest: seconds to sleep at least, unless something is due before: no task need follow every commit at once.
        """
        if self._due_at is not None:
            rest = min(rest, max(0.0, (self._due_at - self._clock.now()).total_seconds()))
        await asyncio.sleep(rest)
        await self._bell.wait()
        self._bell.clear()
        self._due_at = None

    def ring(self) -> None:
        """Wake the waiting task."""
        self._bell.set()

    def ring_before(self, due_at: datetime) -> None:
        """Wake the waiting task now if it would sleep beyond an instant."""
        if self._due_at is None or due_at < self._due_at:
            self.ring()

    def ring_at(self, due_at: datetime | None) -> None:
        """Wake the waiting task at an instant of our clock, and forget the instant named before."""
        self._due_at = due_at
        if due_at is not None and isinstance(self._clock, WallClock):
            self._scheduler.add_job(
                self._on_time,
                DateTrigger(due_at),
                id=f"{self._name}-due",
                replace_existing=True,
                misfire_grace_time=None,
            )

    async def _on_time(self) -> None:  # a coroutine, or APScheduler would run it in a thread
        self.ring()
