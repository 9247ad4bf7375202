"""A clinic's `reminders.toml`: what is shipped is sound, and what is wrong is refused with file, key and reason."""

import logging
import shutil
from pathlib import Path

import pytest

from services.reminders.profile import read_places
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import TextKind
from tests.stand_ins.reminders_story import PROFILES


def test_characters_that_make_a_text_long_are_allowed_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(PROFILES / "stella", tmp_path / "stella")
    file = tmp_path / "stella" / "reminders.toml"
    file.write_text(file.read_text().replace("ya no le enviaremos mensajes", "ya no recibirá más mensajes", 1))
    caplog.set_level(logging.WARNING)

    read_places(tmp_path, None)

    assert [record.getMessage() for record in caplog.records] == [
        "stella/reminders.toml: wording.es.opt_out_confirmed: 'á' makes it twice as long"
    ]


def test_shipped_wordings_are_all_in_the_short_alphabet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    places = read_places(PROFILES, None)

    assert caplog.records == []
    assert {place.clinic for place in places.values()} == {"albany", "stabilization", "stella", "sturges"}
    for place in places.values():
        assert set(place.profile.wording) == {"en", "es"}
        assert place.profile.ladder.kinds == set(TextKind)


@pytest.mark.parametrize(
    ("found", "instead", "line"),
    [
        (
            "{{ sender }}: see you on {{ day }} at {{ time }}.{% if driver %}",
            "Your infusion.{% if driver %}",
            "wording.en.day_of: must not say 'infus'",
        ),
        ('sender = "Stella"', 'sender = "Ketamine Stella"', "must not say 'ketamin'"),
        ('after_care = "', '# after_care = "', "wording.en.after_care is missing"),
        ('help = "', '# help = "', "wording.en.help is missing"),
        ('before = "72 h"', 'before = "72"', "ladder.preparation.before: must be a span of time"),
        ('before = "72 h"', 'before = "20 h"', "ladder.preparation: until must be closer"),
        ('earliest = "08:00:00"', 'earliest = "07:00:00"', "quiet_hours: may only be stricter"),
        ('latest = "21:00:00"', 'latest = "08:00:00"', "quiet_hours: latest must be later"),
        ('latest = "21:00:00"', 'latest = "09:00:00"', "quiet_hours: leaves no time for texts in"),
        ('language = "en"', 'language = "fr"', "wording.fr is missing"),
        ('language = "en"', 'langauge = "en"', "langauge: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_profile_is_refused_with_file_key_and_reason(
    tmp_path: Path, found: str, instead: str, line: str
) -> None:
    shutil.copytree(PROFILES / "stella", tmp_path / "stella")
    file = tmp_path / "stella" / "reminders.toml"
    assert found in file.read_text()
    file.write_text(file.read_text().replace(found, instead, 1))

    with pytest.raises(Misconfigured) as refusal:
        read_places(tmp_path, None)

    assert str(refusal.value).startswith("stella/reminders.toml: ")
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
