"""What a clinic may write into its tariff, and whose number is real."""

from pathlib import Path

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.billing.account.tariff import Npi, Tariff
from shared.configuration.clinic import read_profile
from shared.configuration.settings import Misconfigured
from tests.stand_ins.billed_clinics import PROFILES


@pytest.mark.parametrize("npi", ["1234567893", "1245319599", "1679576722"])
def test_a_real_npi_ends_with_its_check_digit(npi: str) -> None:
    assert TypeAdapter(Npi).validate_python(npi) == npi


@pytest.mark.parametrize("npi", ["1234567898", "123456789", "12345678931", "3234567893", "12345678٩3", ""])
def test_anything_else_is_no_npi(npi: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Npi).validate_python(npi)


@for_all(npi=st.from_regex(r"[12][0-9]{9}", fullmatch=True), place=st.integers(0, 9), other=st.integers(1, 9))
def test_one_wrong_digit_is_always_found(npi: str, place: int, other: int) -> None:
    changed = npi[:place] + str((int(npi[place]) + other) % 10) + npi[place + 1 :]
    assert not (_is_npi(npi) and _is_npi(changed))


def _is_npi(text: str) -> bool:
    try:
        TypeAdapter(Npi).validate_python(text)
    except ValidationError:
        return False
    return True


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
    text = (PROFILES / "stella" / "billing.toml").read_text()
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
