"""Clinics' profiles: what is shipped is what the clinics say, and every mistake is named by file, key and reason."""

import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.booking.profile import read_places
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import Payer
from tests.stand_ins.booking_places import PLACES
from tests.stand_ins.clinics import CLINICS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped clinics, to be spoiled."""
    shutil.copytree(CLINICS, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(
    ("location", "clinic", "zone"),
    [
        ("carbondale", "albany", "America/Chicago"),
        ("albany", "albany", "America/New_York"),
        ("stella", "stella", "America/Chicago"),
    ],
)
def test_every_location_has_its_zone_four_chairs_and_open_weekdays(location: str, clinic: str, zone: str) -> None:
    place = PLACES[location]
    assert (place.clinic, place.location.zone) == (clinic, zone)
    assert len(place.room.chairs) >= 4
    assert len(place.room.providers) >= 4
    for day in range(5):
        monday = datetime(2026, 3, 2, 9, tzinfo=place.location.tz) + timedelta(days=day)
        assert place.location.is_open(monday, monday.replace(hour=17))
    assert place.hold.keys() == set(Payer)


def test_only_the_clinics_that_are_named_are_served(folder: Path) -> None:
    assert read_places(folder, ("stella",)).keys() == {"stella"}
    assert read_places(folder, None).keys() >= {"stella", "albany", "carbondale"}


MISTAKES = [
    ("booking.toml", "treatment_minutes = 45", "", "protocols.ketamine_induction.treatment_minutes", "required"),
    ("booking.toml", "treatment_minutes = 45", "treatment_minutes = 0", "protocols.ketamine_induction", "greater than"),
    ("booking.toml", "treatment_minutes = 45", "treatment_minutes = '45 min'", "protocols.ketamine_induction", "int"),
    ("booking.toml", "window_days = 21", "window_day = 21", "protocols.ketamine_induction.window_days", "required"),
    ("booking.toml", "window_days = 21", "window_days = 21\nwindows = 3", "induction.windows", "not permitted"),
    ("booking.toml", "largest_gap_hours = 240", "largest_gap_hours = 2", "ketamine_induction", "must not be smaller"),
    ("booking.toml", '"chair-2"', '"chair-1"', "locations.stella", "chair 'chair-1' stands twice"),
    ("booking.toml", '"provider-2"', '"provider-1"', "locations.stella", "provider 'provider-1' stands twice"),
    ("booking.toml", '["chair-1", "chair-2", "chair-3", "chair-4"]', "[]", "locations.stella.chairs", "at least 1"),
    ("booking.toml", "[locations.stella]", "[locations.chicago]", "locations.chicago", "clinic.toml"),
    ("booking.toml", "self_pay = 72", "self_pay = 0", "hold_hours.self_pay", "greater than"),
    ("booking.toml", "self_pay = 72", "", "(whole file)", "hold_hours.self_pay is missing"),
    ("booking.toml", "self_pay = 72", "self_pay = 72\ncash = 72", "hold_hours.cash", "self_pay"),
    ("booking.toml", "[hold_hours]", "[hold_hours", "", "is not TOML"),
    ("clinic.toml", "America/Chicago", "America/Carbondale", "locations.stella.zone", "IANA"),
    ("clinic.toml", "America/Chicago", "../../etc/passwd", "locations.stella.zone", "IANA"),
    ("clinic.toml", 'phone = "+1630', 'phone = "630', "locations.stella.phone", "pattern"),
    ("clinic.toml", "closes = 19:00:00", "closes = 08:00:00", "locations.stella.hours.0", "later than opens"),
    ("clinic.toml", '"mon", "tue"', '"monday"', "locations.stella.hours.0.days.0", "mon"),
    ("clinic.toml", "holidays = []", 'holidays = ["Easter"]', "locations.stella.holidays.0", "date"),
    ("clinic.toml", "holidays = []", "holidays = []\nchairs = 4", "locations.stella.chairs", "not permitted"),
    ("clinic.toml", "[locations.stella]", "[locations.albany]", "locations.albany", "albany has it already"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "key", "reason"), MISTAKES)
def test_a_mistake_is_named_in_one_line(folder: Path, file: str, right: str, wrong: str, key: str, reason: str) -> None:
    spoiled = folder / "stella" / file
    text = spoiled.read_text()
    assert right in text
    text = text.replace(right, wrong, 1)
    if file == "clinic.toml" and "locations.albany" in key:
        text = text.replace("[[locations.stella.hours]]", "[[locations.albany.hours]]")
    spoiled.write_text(text)
    with pytest.raises(Misconfigured) as error:
        read_places(folder, None)
    line = str(error.value)
    assert "\n" not in line
    assert re.match(rf"stella/{file}: .*{re.escape(key)}.*{re.escape(reason)}", line), line


def test_a_location_without_chairs_is_named(folder: Path) -> None:
    with (folder / "stella" / "clinic.toml").open("a") as file:
        text = (CLINICS / "stella" / "clinic.toml").read_text()
        file.write(text[text.index("[locations.stella]") :].replace("locations.stella", "locations.chicago"))
    with pytest.raises(Misconfigured, match=r"^stella/booking\.toml: locations\.chicago: is missing, but stands in"):
        read_places(folder, None)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "stella" / "booking.toml").unlink()
    with pytest.raises(Misconfigured, match=r"^stella/booking\.toml: there is no such file"):
        read_places(folder, None)


def test_a_clinic_that_is_named_but_not_there_is_named(folder: Path) -> None:
    with pytest.raises(Misconfigured, match=r"^CHAIRTIME_CLINICS: there is no clinic 'atlantis'"):
        read_places(folder, ("stella", "atlantis"))


def test_a_folder_without_clinics_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"^CHAIRTIME_PROFILES: no clinic in"):
        read_places(tmp_path, None)
