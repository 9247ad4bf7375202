"""The file of API keys is edited while services run: what is wrong with it shuts nobody out."""

import hashlib
import logging
from pathlib import Path

import pytest

from deploy.doctor import outside
from deploy.doctor.finding import State
from shared.configuration.api_keys import ApiKeys
from shared.configuration.settings import Misconfigured
from tests.stand_ins.booking_desk import Desk
from tests.stand_ins.callers import key_of, keys_file
from tests.stand_ins.scrapes import scrape

DESK = key_of("front_desk")
MISTAKES = {
    "no TOML": b"[[keys]]\nname = front_desk\n",
    "cut off": b"[[keys]]\nname = ",
    "not UTF-8": b'[[keys]]\nname = "\xff"\n',
    "a digest too short": b'[[keys]]\nname = "desk"\nsha256 = "abc"\nroles = ["front_desk"]\n',
    "no such role": b'[[keys]]\nname = "desk"\nsha256 = "' + b"0" * 64 + b'"\nroles = ["barber"]\n',
    "another key of the table": b'[[keys]]\nname = "desk"\nsha = "' + b"0" * 64 + b'"\nroles = []\n',
    "no table": b"keys = 5\n",
    "a table of another name": b'[[key]]\nname = "desk"\n',
}


@pytest.mark.parametrize("wrong", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_leaves_the_keys_before_in_force_until_it_is_mended(
    wrong: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = keys_file(tmp_path)
    right, keys = file.read_bytes(), ApiKeys(file)
    file.write_bytes(wrong)
    with caplog.at_level(logging.INFO):
        assert keys.owner(DESK) is not None
        assert keys.owner(DESK) is not None
        assert keys.refresh() is not None
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(file) in line.getMessage()
    assert "front_desk" not in line.getMessage()
    file.write_bytes(right)
    assert keys.refresh() is None
    assert keys.owner(DESK) is not None


def test_a_file_that_is_gone_leaves_its_keys_in_force(tmp_path: Path) -> None:
    file = keys_file(tmp_path)
    keys = ApiKeys(file)
    file.unlink()
    assert keys.owner(DESK) is not None
    assert keys.refresh() == f"{file}: FileNotFoundError"


def test_a_key_that_is_taken_out_opens_nothing(tmp_path: Path) -> None:
    file = keys_file(tmp_path)
    keys = ApiKeys(file)
    tables = file.read_text().split("[[keys]]")
    digest = hashlib.sha256(DESK.encode()).hexdigest()
    file.write_text("[[keys]]".join(table for table in tables if digest not in table))
    assert keys.owner(DESK) is None
    assert keys.owner(key_of("operator")) is not None


@pytest.mark.parametrize("wrong", MISTAKES.values(), ids=MISTAKES)
def test_a_service_does_not_start_with_a_mistake(wrong: bytes, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_bytes(wrong)
    with pytest.raises(Misconfigured, match=str(file)):
        ApiKeys(file)


def test_the_doctor_names_the_mistake(tmp_path: Path) -> None:
    file = keys_file(tmp_path)
    assert outside.api_keys(file).state is State.OK
    file.write_text("[[keys]]\nname = ")
    finding = outside.api_keys(file)
    assert finding.state is State.FAILED
    assert str(file) in finding.told


async def test_calls_are_answered_and_the_scrape_tells_of_the_mistake(booking: Desk, tmp_path: Path) -> None:
    assert (await scrape(booking.app)).value("chairtime_api_keys_in_force") == 1
    (tmp_path / "keys.toml").write_text("[[keys]]\nname = ")
    answer = await booking.get("/v1/sessions?location=albany&day=2030-01-07")
    assert answer.status_code == 200
    assert (await scrape(booking.app)).value("chairtime_api_keys_in_force") == 0
