"""The one course that facts are about where a test names no other: whose it is, its ids, and when it is told of.

Every fact is about `COURSE` of `PATIENT`: visits of two hours at Stella on Tuesdays and Thursdays at ten in the morning
in Chicago, the first of them eight days after the course is told of, at `NOW`.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday, nine o'clock in Chicago; six days later the clocks go forward."""

MIDNIGHT: Final = NOW + 15 * HOUR

TEN: Final = datetime(2026, 3, 10, 15, tzinfo=UTC)
"""A Tuesday, ten in the morning in Chicago."""

NEXT_MONDAY: Final = date(2026, 3, 9)
"""The day after the clocks went forward."""

COURSE: Final = UUID("00000000-0000-4000-8000-000000000001")
OTHER: Final = UUID("00000000-0000-4000-8000-000000000002")

PATIENT: Final = "patient-1"
COMPANION: Final = "companion-1"
OTHER_PATIENT: Final = "patient-2"
PHONE: Final = "+13125550101"
"""The patient's number."""

OTHER_PHONE: Final = "+13125550199"


def session_id(number: int, course: UUID = COURSE) -> UUID:
    """The id of a course's session."""
    return uuid5(course, str(number))


def start(number: int) -> datetime:
    """When a session starts."""
    weeks, second = divmod(number - 1, 2)
    return NOW + 8 * DAY + weeks * 7 * DAY + second * 2 * DAY


def day(number: int) -> date:
    """The day of a session in Chicago."""
    return (start(number) - 5 * HOUR).date()
