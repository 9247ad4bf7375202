"""Until when a good-faith estimate must be in the patient's hands: business days at a location. Pure.

A business day is Monday to Friday and none of the location's holidays, whatever days it treats patients on.
Source: 45 CFR 149.610(b)(1), in force since January 1, 2022 (86 FR 55980). The numbers below name their paragraphs.
"""

from collections.abc import Container
from datetime import date, timedelta
from typing import Final

DAY: Final = timedelta(days=1)

FIRST_ESTIMATE: Final = ((10, 3), (3, 1))
"""Scheduled at least so many business days ahead, a service has its estimate so many after it was scheduled.

A nearer service needs none. Source: (vi)(B) and (vi)(A).
"""

NEW_ESTIMATE: Final = 1
"""A new estimate, after anything has changed, is there so many business days before the service. Source: (vii)."""


def is_business_day(day: date, holidays: Container[date]) -> bool:
    """Whether the law counts this day."""
    return day.weekday() < 5 and day not in holidays


def business_days(after: date, until: date, holidays: Container[date]) -> int:
    """How many lie after a day, the last one included; 0 where `until` is not later."""
    days = (after + number * DAY for number in range(1, (until - after).days + 1))
    return sum(is_business_day(day, holidays) for day in days)


def business_day_from(day: date, steps: int, holidays: Container[date]) -> date:
    """The business day so many steps after a day, or before it where `steps` is negative."""
    step = DAY if steps > 0 else -DAY
    for _ in range(abs(steps)):
        day += step
        while not is_business_day(day, holidays):
            day += step
    return day


def estimate_by(scheduled_on: date, service_on: date, holidays: Container[date]) -> date | None:
    """The last day for the first estimate; None where the service is too near for the law to ask for one."""
    ahead = business_days(scheduled_on, service_on, holidays)
    within = next((within for at_least, within in FIRST_ESTIMATE if ahead >= at_least), None)
    return business_day_from(scheduled_on, within, holidays) if within is not None else None


def reissue_by(service_on: date, holidays: Container[date]) -> date:
    """The last day for a new estimate after anything has changed."""
    return business_day_from(service_on, -NEW_ESTIMATE, holidays)
