"""What a course costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.account.pricing import Unpriced, insurer_cents, integration_cents, price, split
from services.billing.account.terms import terms_for
from shared.contract.closed_sets import Payer, PricingRefusal
from tests.stand_ins.billed_clinics import PLACES

SELF_PAY, INSURANCE = Payer.SELF_PAY, Payer.INSURANCE
WHOLE, PART = "induction", "induction-with-integration"


def asked(
    location: str, treatment: str, package: str | None, count: int, payer: Payer = SELF_PAY, plan: str | None = None
) -> tuple[int, ...] | Unpriced:
    return price(terms_for(PLACES[location], treatment, plan), treatment, package, payer, count)


@pytest.mark.parametrize(
    ("location", "treatment", "package", "count", "shares"),
    [
        ("stella", "ketamine_induction", WHOLE, 6, (57917, 57917, 57917, 57917, 57916, 57916)),
        ("stella", "ketamine_induction", PART, 6, (74434, 74434, 74433, 74433, 74433, 74433)),
        ("stella", "ketamine_maintenance", None, 1, (47500,)),
        ("stella", "ketamine_maintenance", None, 3, (47500, 47500, 47500)),
        ("stella", "ketamine_maintenance", "maintenance-with-integration", 1, (67300,)),
        ("albany", "ketamine_induction", None, 2, (45000, 45000)),
        ("carbondale", "sgb", None, 1, (120000,)),
        ("carbondale", "tms", None, 2, (30000, 30000)),
        ("sturges", "ketamine_induction", None, 1, (40000,)),
        ("sturges", "ketamine_maintenance", None, 1, (40000,)),
        ("stabilization", "ketamine_induction", None, 1, (42500,)),
    ],
)
def test_the_clinics_own_prices(
    location: str, treatment: str, package: str | None, count: int, shares: tuple[int, ...]
) -> None:
    assert asked(location, treatment, package, count) == shares


@pytest.mark.parametrize(
    ("treatment", "cents"), [("spravato", 5000), ("tms", 3000), ("ketamine_induction", 45000), ("sgb", 120000)]
)
def test_an_insured_patient_pays_the_copay_of_what_is_approved_and_the_price_of_the_rest(
    treatment: str, cents: int
) -> None:
    assert asked("carbondale", treatment, None, 2, INSURANCE, "Good Health") == (cents, cents)


@pytest.mark.parametrize(
    ("location", "treatment", "package", "count", "code"),
    [
        ("stella", "ketamine_induction", None, 6, PricingRefusal.NO_PRICE),
        ("albany", "spravato", None, 1, PricingRefusal.NO_PRICE),
        ("stella", "ketamine_induction", "gold", 6, PricingRefusal.UNKNOWN_PACKAGE),
        ("stella", "ketamine_maintenance", "induction", 6, PricingRefusal.UNKNOWN_PACKAGE),
        ("stella", "ketamine_induction", "induction", 5, PricingRefusal.WRONG_COUNT),
        ("albany", "ketamine_induction", "induction", 6, PricingRefusal.UNKNOWN_PACKAGE),
    ],
)
def test_what_is_not_sold_is_refused_by_name(
    location: str, treatment: str, package: str | None, count: int, code: PricingRefusal
) -> None:
    refusal = asked(location, treatment, package, count)
    assert isinstance(refusal, Unpriced)
    assert refusal.code is code


@pytest.mark.parametrize("plan", ["Illinois Medicaid", "illinois-medicaid", "IL MEDICAID", "illinois_medicaid"])
def test_illinois_medicaid_does_not_cover_tms_however_it_is_written(plan: str) -> None:
    refusal = asked("carbondale", "tms", None, 2, INSURANCE, plan)
    assert isinstance(refusal, Unpriced)
    assert refusal.code is PricingRefusal.NOT_COVERED
    assert asked("carbondale", "tms", None, 2, SELF_PAY, plan) == (30000, 30000)
    assert asked("carbondale", "spravato", None, 1, INSURANCE, plan) == (5000,)


def test_integration_therapy_is_what_the_package_costs_more_to_the_cent() -> None:
    terms = terms_for(PLACES["stella"], "ketamine_induction", None)
    of_each = [integration_cents(terms, PART, number) for number in range(1, 7)]
    assert sum(of_each) == 446600 - 347500
    infusions = [cents - part for cents, part in zip(split(446600, 6), of_each, strict=True)]
    assert sum(infusions) == 347500
    assert [integration_cents(terms, WHOLE, number) for number in (1, 6)] == [0, 0]
    once = terms_for(PLACES["stella"], "ketamine_maintenance", None)
    assert 67300 - integration_cents(once, "maintenance-with-integration", 1) == 47500


def test_an_insurer_gives_back_half_at_most_and_never_a_cent_above() -> None:
    terms = terms_for(PLACES["stella"], "ketamine_induction", None)
    assert [insurer_cents(terms, cents) for cents in (57917, 57916, 1, 0)] == [28958, 28958, 0, 0]
    assert insurer_cents(terms_for(PLACES["albany"], "ketamine_induction", None), 45000) == 0


@given(total=st.integers(1, 10_000_000), count=st.integers(1, 200))
def test_a_package_splits_to_the_cent_the_larger_shares_first(total: int, count: int) -> None:
    shares = split(total, count)
    assert sum(shares) == total
    assert len(shares) == count
    assert list(shares) == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1
