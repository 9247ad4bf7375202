"""Until when a good-faith estimate must be in the patient's hands: business days at a location. Pure.

A business day is Monday to Friday and none of the location's holidays, whatever days it treats patients on.
Source: 45 CFR 149.610(b)(1)(v) and (vi).
"""

from collections.abc import Container
from datetime import date, timedelta

DAY = timedelta(days=1)


def is_business_day(day: date, holidays: Container[date]) -> bool:
    """Whether the days that the law counts include this one."""
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
    if ahead < 3:
        return None
    return business_day_from(scheduled_on, 3 if ahead >= 10 else 1, holidays)


def reissue_by(service_on: date, holidays: Container[date]) -> date:
    """The last day for a new estimate after anything has changed: one business day before the service."""
    return business_day_from(service_on, -1, holidays)
