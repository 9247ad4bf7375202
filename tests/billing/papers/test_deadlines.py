"""Until when an estimate must be there."""

from datetime import date

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.billing.papers.deadlines import business_day_from, business_days, estimate_by, reissue_by

THANKSGIVING, CHRISTMAS, NEW_YEAR = date(2026, 11, 26), date(2026, 12, 25), date(2027, 1, 1)
HOLIDAYS = (THANKSGIVING, CHRISTMAS, NEW_YEAR)


@pytest.mark.parametrize(
    ("scheduled", "service", "by"),
    [
        ("2026-11-02", "2026-11-16", "2026-11-05"),  # Monday for two weeks later: ten business days, so three
        ("2026-11-02", "2026-11-13", "2026-11-03"),  # nine of them: one
        ("2026-11-02", "2026-11-05", "2026-11-03"),  # three of them: one
        ("2026-11-02", "2026-11-04", None),  # two: the law asks for none
        ("2026-11-02", "2026-11-02", None),
        ("2026-11-06", "2026-11-11", "2026-11-09"),  # Friday: the weekend counts for nothing
        ("2026-11-06", "2026-11-10", None),
        ("2026-11-07", "2026-11-11", "2026-11-09"),  # scheduled on a Saturday
        ("2026-11-25", "2026-12-10", "2026-12-01"),  # over Thanksgiving: Friday, Monday, Tuesday
        ("2026-11-25", "2026-12-09", "2026-11-27"),  # Thanksgiving makes nine of ten
        ("2026-12-24", "2027-01-04", "2026-12-28"),  # between the years: six
        ("2026-12-31", "2027-01-05", None),
    ],
)
def test_an_estimate_is_due_within_business_days(scheduled: str, service: str, by: str | None) -> None:
    last = estimate_by(date.fromisoformat(scheduled), date.fromisoformat(service), HOLIDAYS)
    assert last == (date.fromisoformat(by) if by else None)


@pytest.mark.parametrize(
    ("service", "by"),
    [
        ("2026-11-16", "2026-11-13"),  # a Monday: the Friday before
        ("2026-11-17", "2026-11-16"),
        ("2026-11-27", "2026-11-25"),  # the day after Thanksgiving
        ("2027-01-04", "2026-12-31"),
        ("2026-11-15", "2026-11-13"),  # a Sunday
    ],
)
def test_a_new_estimate_is_due_one_business_day_before_the_service(service: str, by: str) -> None:
    assert reissue_by(date.fromisoformat(service), HOLIDAYS) == date.fromisoformat(by)


@for_all(day=st.dates(date(2026, 1, 1), date(2030, 1, 1)), steps=st.integers(1, 30))
def test_counting_forth_and_back_agree(day: date, steps: int) -> None:
    later = business_day_from(day, steps, HOLIDAYS)
    assert business_days(day, later, HOLIDAYS) == steps
    assert business_day_from(later, -steps, HOLIDAYS) <= day


@for_all(scheduled=st.dates(date(2026, 1, 1), date(2030, 1, 1)), ahead=st.integers(0, 60))
def test_an_estimate_is_never_due_later_than_one_business_day_before(scheduled: date, ahead: int) -> None:
    service = date.fromordinal(scheduled.toordinal() + ahead)
    by = estimate_by(scheduled, service, HOLIDAYS)
    assert by is None or scheduled < by <= reissue_by(service, HOLIDAYS)
