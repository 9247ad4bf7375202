"""What time it is, and what wakes whoever waits for a due instant.

What is due lies in each service's own database. APScheduler is the alarm: it wakes a waiting task at the next due
instant, and once a second in case another process wrote an earlier one. A stepped clock stands still until it is told
to move, so that three weeks can be played in seconds without racing anything.
"""

import asyncio
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger


class Clock(Protocol):
    """Our clock. Every instant is aware and UTC."""

    def now(self) -> datetime:
        """The time."""
        ...

    def at(self, wall: datetime) -> datetime:
        """What this clock showed when the wall's clock showed `wall`; never later than now."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def at(self, wall: datetime) -> datetime:
        return min(wall, self.now())


class SteppedClock:
    """Stands still until `move`; remembers when it moved, so that it can date what reached Kafka in between."""

    def __init__(self, start: datetime) -> None:
        self._moved_at: list[datetime] = [datetime.min.replace(tzinfo=UTC)]
        self._shown: list[datetime] = [start]

    def now(self) -> datetime:
        return self._shown[-1]

    def at(self, wall: datetime) -> datetime:
        return self._shown[bisect_right(self._moved_at, wall) - 1]

    def move(self, to: datetime) -> None:
        """Show another instant from here on.

        Raises:
            ValueError: `to` is before what the clock shows.
        """
        if to < self.now():
            raise ValueError("the clock cannot go back")
        self._moved_at.append(datetime.now(UTC))
        self._shown.append(to)


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
