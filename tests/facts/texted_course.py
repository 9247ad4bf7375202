"""The course that reminders is told of: whose it is, its sessions, and when all of it begins."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

COURSE_ID = UUID("00000000-0000-4000-8000-00000000c001")
PATIENT = "patient-1"
COMPANION = "companion-1"
OTHER = "patient-2"
PHONE = "+13125550101"
OTHER_PHONE = "+13125550199"

MONDAY = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
"""10:00 in Chicago."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MIDNIGHT = MONDAY + 14 * HOUR


def id_of(number: int) -> UUID:
    """The id of the course's `number`th session."""
    return uuid5(COURSE_ID, str(number))


def start_of(number: int) -> datetime:
    """Session 1 is two weeks after `MONDAY`, at 10:00 in Chicago (daylight saving time by then); the others weekly."""
    return MONDAY + timedelta(days=14, hours=-1) + timedelta(weeks=number - 1)
