"""What a course costs, and until when it must be paid."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.pricing import Unpriced, due_at, price, split
from services.billing.profile import Due, Tariff
from shared.clinic import read_profile
from shared.contract import PricingRefusal
from shared.settings import Misconfigured

CLINICS = Path(__file__).parents[2] / "deploy" / "clinics"
STELLA = read_profile(Tariff, CLINICS / "stella" / "billing.toml")
ALBANY = read_profile(Tariff, CLINICS / "albany" / "billing.toml")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("tariff", "treatment", "package", "count", "shares"),
    [
        (STELLA, "ketamine_induction", "induction", 6, (57917, 57917, 57917, 57917, 57916, 57916)),
        (STELLA, "ketamine_induction", "induction-with-integration", 6, (74434, 74434, 74433, 74433, 74433, 74433)),
        (STELLA, "ketamine_maintenance", None, 1, (47500,)),
        (STELLA, "ketamine_maintenance", None, 3, (47500, 47500, 47500)),
        (STELLA, "ketamine_maintenance", "maintenance-with-integration", 1, (67300,)),
        (ALBANY, "ketamine_induction", None, 2, (45000, 45000)),
    ],
)
def test_the_clinics_own_prices(
    tariff: Tariff, treatment: str, package: str | None, count: int, shares: tuple[int, ...]
) -> None:
    assert price(tariff, treatment, package, count) == shares


@pytest.mark.parametrize(
    ("tariff", "treatment", "package", "count", "code"),
    [
        (STELLA, "ketamine_induction", None, 6, PricingRefusal.NO_PRICE),
        (STELLA, "tms", None, 6, PricingRefusal.NO_PRICE),
        (STELLA, "ketamine_induction", "gold", 6, PricingRefusal.UNKNOWN_PACKAGE),
        (STELLA, "ketamine_maintenance", "induction", 6, PricingRefusal.UNKNOWN_PACKAGE),
        (STELLA, "ketamine_induction", "induction", 5, PricingRefusal.WRONG_COUNT),
        (ALBANY, "ketamine_induction", "induction", 6, PricingRefusal.UNKNOWN_PACKAGE),
    ],
)
def test_what_is_not_sold_is_refused_by_name(
    tariff: Tariff, treatment: str, package: str | None, count: int, code: PricingRefusal
) -> None:
    refusal = price(tariff, treatment, package, count)
    assert isinstance(refusal, Unpriced)
    assert refusal.code is code


@given(total=st.integers(1, 10_000_000), count=st.integers(1, 200))
def test_a_package_splits_to_the_cent_the_larger_shares_first(total: int, count: int) -> None:
    shares = split(total, count)
    assert sum(shares) == total
    assert len(shares) == count
    assert list(shares) == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1


@pytest.mark.parametrize(
    ("starts_in", "due_in"),
    [
        (240, 192),  # far ahead: two days before
        (73, 25),
        (72, 24),
        (60, 24),  # near: a day after acceptance
        (24, 24),
        (3, 3),  # sooner than that: at the start, never later
    ],
)
def test_due_two_days_ahead_with_a_day_of_grace(starts_in: int, due_in: int) -> None:
    due = due_at(Due(lead_hours=48, grace_hours=24), NOON + starts_in * HOUR, NOON)
    assert due == NOON + due_in * HOUR


@pytest.mark.parametrize(
    ("line", "wrong", "complaint"),
    [
        ("session_cents = 47500", "session_cents = 475.50", r"stella/billing.toml: treatments.ketamine_maintenance"),
        ("sessions = 6", "sessions = 0", r"packages.induction.sessions: "),
        ("lead_hours = 48", "lead = 48", r"due.lead_hours: Field required"),
        ('missed = "return"', 'missed = "haggle"', r"policy.missed: "),
    ],
)
def test_a_wrong_tariff_is_refused_by_file_and_key(tmp_path: Path, line: str, wrong: str, complaint: str) -> None:
    text = (CLINICS / "stella" / "billing.toml").read_text()
    assert line in text
    (tmp_path / "stella").mkdir()
    file = tmp_path / "stella" / "billing.toml"
    file.write_text(text.replace(line, wrong, 1))
    with pytest.raises(Misconfigured, match=complaint):
        read_profile(Tariff, file)


def test_a_treatment_without_any_price_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    file = tmp_path / "x" / "billing.toml"
    file.write_text(
        '[due]\nlead_hours = 1\ngrace_hours = 1\n[policy]\nmissed = "keep"\n[treatments.sgb]\napproval = "off_label"\n'
    )
    with pytest.raises(Misconfigured, match=r"x/billing.toml: treatments.sgb: needs session_cents or a package"):
        read_profile(Tariff, file)
