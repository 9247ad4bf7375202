"""What a text says of days, times and numbers."""

from datetime import UTC, datetime, timedelta

from services.reminders.text.wording import compiled, compose, tell_dates, tell_phone
from shared.contract.closed_sets import TextKind
from tests.stand_ins.reminders_story import STELLA

NOON = datetime(2026, 3, 16, 17, 0, tzinfo=UTC)


def test_time_is_told_on_the_clinics_clock() -> None:
    template = compiled("{{ sender }} {{ day }} {{ time }} {{ phone }}")
    body = compose(template, TextKind.DAY_BEFORE, "en", "Stella", STELLA.location, [NOON])

    assert body == "Stella Mon Mar 16 12:00 PM 630-555-0136"


def test_a_long_list_of_dates_is_cut_and_counted() -> None:
    dates = [NOON + timedelta(days=n) for n in range(8)]

    assert tell_dates(dates, "en").endswith("Sat Mar 21 5:00 PM, and 2 more")


def test_a_foreign_number_is_told_as_it_is() -> None:
    assert tell_phone("+4930123456") == "+4930123456"
