"""The course that facts are about: its ids, its sessions and when they are."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday, nine o'clock in Chicago; six days later the clocks go forward."""

TEN: Final = datetime(2026, 3, 10, 15, tzinfo=UTC)
"""A Tuesday, ten in the morning in Chicago."""

NEXT_MONDAY: Final = date(2026, 3, 9)
"""The day after the clocks went forward."""

DAYS: Final = (0, 2, 7, 9, 14, 16)
"""Six sessions on Tuesdays and Thursdays, within Stella's three weeks."""

COURSE: Final = UUID("00000000-0000-4000-8000-000000000001")
OTHER: Final = UUID("00000000-0000-4000-8000-000000000002")


def session_id(number: int, course: UUID = COURSE) -> UUID:
    """The id of a course's session."""
    return uuid5(course, str(number))


def start(number: int) -> datetime:
    """When a session starts: ten in the morning in Chicago, the first a week after the story begins."""
    return NOW + 8 * DAY + DAYS[number - 1] * DAY
