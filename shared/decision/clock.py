"""What time it is for a service: the machine's clock, or one that is stepped.

What wakes a task at a due instant is in `shared.worker.alarm`. A stepped clock stands still until it is told
to move, so that three weeks can be played in seconds without racing anything.
"""

from bisect import bisect_right
from datetime import UTC, datetime
from typing import Protocol


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
