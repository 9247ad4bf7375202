"""The secrets of a deployment as files."""

import stat
from pathlib import Path

from deploy.preparing.secrets import API_KEYS, MADE_UP, TWILIO_AUTH_TOKEN, write_missing
from shared.configuration.settings import weakness


def test_each_secret_is_a_strong_file_of_its_own_that_only_the_folder_hides(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    written = write_missing(folder)
    assert sorted(written) == sorted([*MADE_UP, TWILIO_AUTH_TOKEN, API_KEYS])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    values = [(folder / name).read_text() for name in MADE_UP]
    assert len(set(values)) == len(values)
    assert not any(map(weakness, values))
    assert all(stat.S_IMODE((folder / name).stat().st_mode) & 0o444 == 0o444 for name in written)


def test_what_is_there_is_kept_and_what_is_given_is_taken(tmp_path: Path) -> None:
    write_missing(tmp_path, {TWILIO_AUTH_TOKEN: "of twilio"})
    before = {name: (tmp_path / name).read_text() for name in MADE_UP}
    (tmp_path / "kafka_clinic_password").unlink()
    assert write_missing(tmp_path, {TWILIO_AUTH_TOKEN: "another"}) == ["kafka_clinic_password"]
    after = {name: (tmp_path / name).read_text() for name in MADE_UP}
    assert [name for name in MADE_UP if before[name] != after[name]] == ["kafka_clinic_password"]
    assert (tmp_path / TWILIO_AUTH_TOKEN).read_text() == "of twilio"
