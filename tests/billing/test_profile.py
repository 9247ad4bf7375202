"""What the shipped clinics sell, and a clinic that sells nothing."""

from pathlib import Path

import pytest

from services.billing.main import build
from services.billing.settings import BillingSettings
from shared.configuration.settings import Misconfigured, read_settings
from tests.stand_ins.billed_clinics import PLACES, PROFILES
from tests.stand_ins.billing_rig import HandClock


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


def test_a_clinic_without_a_tariff_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "albany").mkdir()
    (tmp_path / "albany" / "clinic.toml").write_bytes((PROFILES / "albany" / "clinic.toml").read_bytes())
    settings = read_settings(BillingSettings, kafka="x:1", billing_database="postgresql://x@x/x", profiles=tmp_path)
    with pytest.raises(Misconfigured, match=r"albany/billing.toml: there is no such file"):
        build(settings, HandClock())
