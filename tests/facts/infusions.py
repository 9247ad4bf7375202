"""A course of infusions in November: when it is told of, and when its sessions begin."""

from datetime import UTC, date, datetime, timedelta

from tests.facts.course import DAY

T0 = datetime(2026, 11, 2, 15, tzinfo=UTC)


def begins_at(number: int) -> datetime:
    """A session every third day, the first ten days after the story begins."""
    return T0 + 10 * DAY + (number - 1) * 3 * DAY


def day(number: int) -> date:
    """The day of a session in Chicago."""
    return (begins_at(number) - timedelta(hours=6)).date()
