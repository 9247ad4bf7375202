"""What a course costs, and until when it must be paid."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.account.pricing import Unpriced, due_at, insurer_cents, integration_cents, price, split
from services.billing.account.tariff import Due, Tariff
from services.billing.account.terms import Terms, terms_of
from services.billing.profile import read_places
from shared.configuration.clinic import read_profile
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import Payer, PricingRefusal

CLINICS = Path(__file__).parents[2] / "deploy" / "clinics"
PLACES = read_places(CLINICS, None)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SELF_PAY, INSURANCE = Payer.SELF_PAY, Payer.INSURANCE
WHOLE, PART = "induction", "induction-with-integration"


def asked(
    location: str, treatment: str, package: str | None, count: int, payer: Payer = SELF_PAY, plan: str | None = None
) -> tuple[int, ...] | Unpriced:
    return price(terms_of(PLACES[location], treatment, plan), treatment, package, payer, count)


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
    terms = terms_of(PLACES["stella"], "ketamine_induction", None)
    of_each = [integration_cents(terms, PART, number) for number in range(1, 7)]
    assert sum(of_each) == 446600 - 347500
    infusions = [cents - part for cents, part in zip(split(446600, 6), of_each, strict=True)]
    assert sum(infusions) == 347500
    assert [integration_cents(terms, WHOLE, number) for number in (1, 6)] == [0, 0]
    once = terms_of(PLACES["stella"], "ketamine_maintenance", None)
    assert 67300 - integration_cents(once, "maintenance-with-integration", 1) == 47500


def test_an_insurer_gives_back_half_at_most_and_never_a_cent_above() -> None:
    terms = terms_of(PLACES["stella"], "ketamine_induction", None)
    assert [insurer_cents(terms, cents) for cents in (57917, 57916, 1, 0)] == [28958, 28958, 0, 0]
    assert insurer_cents(terms_of(PLACES["albany"], "ketamine_induction", None), 45000) == 0


def test_the_first_consultation_alone_is_free_at_albany() -> None:
    offers = {location: place.tariff.treatments for location, place in PLACES.items()}
    assert {(location, name) for location, of in offers.items() for name, offer in of.items() if offer.first_free} == {
        ("albany", "consultation"),
        ("carbondale", "consultation"),
    }


def test_every_provider_has_a_name_for_papers() -> None:
    for place in PLACES.values():
        assert set(place.tariff.providers) == {f"provider-{number}" for number in range(1, 5)}
        assert all(offer.papers is not None for offer in place.tariff.treatments.values())


@pytest.mark.parametrize("location", sorted(PLACES))
def test_terms_are_read_back_as_they_were_written_down(location: str) -> None:
    for name in PLACES[location].tariff.treatments:
        terms = terms_of(PLACES[location], name, "Illinois Medicaid")
        again = Terms.model_validate_json(terms.content)
        assert again == terms
        assert again.terms_id == terms.terms_id


def test_terms_of_another_plan_are_others() -> None:
    terms = terms_of(PLACES["albany"], "tms", "Illinois Medicaid")
    assert terms.with_plan(None).terms_id == terms_of(PLACES["albany"], "tms", "Good Health").terms_id != terms.terms_id


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
        ("insurer_percent = 50", "insurer_percent = 51", r"treatments.ketamine_induction.insurer_percent: "),
        ("integration_cents = 99100", "integration_cents = 446600", r"integration_cents must be less than price_cents"),
        ("session_cents = 47500", "copay_cents = 5", r"ketamine_maintenance: copay_cents is for approved treatments"),
        ('npi = "1000000053"', 'npi = "1000000054"', r"practice.npi: is no NPI: its check digit is wrong"),
        ('npi = "1000000061"', 'npi = "3000000061"', r"providers.provider-1.npi: "),
        ("[practice]", '[[plans]]\nnames = ["A"]\nnot_covered = ["tea"]\n[practice]', r"there is no treatment 'tea'"),
        ('missed = "return"', 'missed = "keep"\nmissed_fee_cents = 5', r"policy: missed_fee_cents is for missed"),
        (
            'missed = "return"',
            'missed = "return"\nlate = [{within_hours=9, fee_cents=5}, {within_hours=24, fee_cents=6}]',
            r"policy: late: each notice stands once, and a shorter one never costs less",
        ),
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
        '[practice]\nnpi = "1234567893"\nein = "00-0000000"\n[providers.a]\nname = "A"\ncredentials = "MD"\n'
        'npi = "1234567893"\n[due]\nlead_hours = 1\ngrace_hours = 1\n[policy]\nmissed = "keep"\n'
        '[treatments.sgb]\napproval = "off_label"\n'
    )
    with pytest.raises(Misconfigured, match=r"x/billing.toml: treatments.sgb: needs session_cents or a package"):
        read_profile(Tariff, file)
