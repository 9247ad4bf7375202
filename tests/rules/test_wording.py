"""What texts say, how long they are, and what a clinic is not let say."""

import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.profile import read_places
from services.reminders.text.lint import fault_of
from services.reminders.text.segments import segments
from services.reminders.text.wording import compiled, compose, tell_dates, tell_phone
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import TextKind
from tests.reminders_story import PLACES, PROFILES

STELLA = PLACES["stella"]
NOON = datetime(2026, 3, 16, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("é" * 160, 1),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_parts_are_counted_as_carriers_do(body: str, parts: int) -> None:
    assert segments(body) == parts


@given(st.text(min_size=1, max_size=400), st.text(max_size=100))
def test_a_longer_text_never_takes_fewer_parts(body: str, more: str) -> None:
    assert segments(body) <= segments(body + more)


def test_time_is_told_on_the_clinics_clock() -> None:
    template = compiled("{{ sender }} {{ day }} {{ time }} {{ phone }}")
    body = compose(template, TextKind.DAY_BEFORE, "en", "Stella", STELLA.location, [NOON])

    assert body == "Stella Mon Mar 16 12:00 PM 630-555-0136"


def test_a_long_list_of_dates_is_cut_and_counted() -> None:
    dates = [NOON + timedelta(days=n) for n in range(8)]

    assert tell_dates(dates, "en").endswith("Sat Mar 21 5:00 PM, and 2 more")


def test_a_foreign_number_is_told_as_it_is() -> None:
    assert tell_phone("+4930123456") == "+4930123456"


ALL_PLACES = read_places(PROFILES, None)


@pytest.mark.parametrize("location", sorted(ALL_PLACES))
def test_every_shipped_wording_is_sound(location: str) -> None:
    place = ALL_PLACES[location]
    for language, texts in place.profile.wording.items():
        assert set(texts) >= place.profile.ladder.kinds
        for kind, source in texts.items():
            assert fault_of(source, kind, language, place.profile.sender, [place.location]) is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("Your ketamine visit", "must not say 'ketamin'"),
        ("Your Infusion", "must not say 'infus'"),
        ("Su sesión de Ketamina, infusión", "must not say"),
        ("Please pay $475", "must not say '$'"),
        ("for your depression", "must not say 'depress'"),
        ("Reply YES to confirm", "must not invite 'YES'"),
        ("Reply CANCEL", "must not invite 'CANCEL'"),
        ("See you at {{ tme }}", "is no template"),
        ("See you at {{ time ", "is no template"),
        ("{{ ''.__class__.__mro__ }}", "is no template"),
        ("x" * 307, "takes 3 segments"),
        ("  ", "is empty"),
        ("Su dolor de espalda", "must not say 'dolor'"),
        ("{% if driver %}After the infusion{% endif %} {{ phone }}", "must not say 'infus'"),
        ("Please reply yes", "must not invite 'reply yes'"),
        ("Responda cancelar", "must not invite 'responda cancelar'"),
        ("Text back 'quit'", "must not invite"),
        ("See you at {{ time }}", "must give the clinic's phone"),
    ],
)
def test_a_wording_that_must_not_go_out_is_refused(source: str, why: str) -> None:
    fault = fault_of(source, TextKind.DAY_OF, "en", "Stella", [STELLA.location])

    assert fault is not None
    assert fault.startswith(why)


@pytest.mark.parametrize("kind", [TextKind.BOOKED, TextKind.COMPANION_NOTICE])
@pytest.mark.parametrize("source", ["{{ dates }}", "{{ sender }}: {{ dates }}", "{{ dates }}, STOP ends texts"])
def test_the_first_text_must_say_who_writes_and_how_to_end_the_texts(kind: TextKind, source: str) -> None:
    fault = fault_of(f"{source}. {{{{ phone }}}}", kind, "en", "Stella", [STELLA.location])

    assert fault is not None
    assert fault.startswith("must say who writes")


@pytest.mark.parametrize(("said", "missing"), [("call us", "911 and 988"), ("call 911", "988"), ("text 988", "911")])
def test_the_answer_to_what_is_not_understood_must_name_who_helps_at_once(said: str, missing: str) -> None:
    fault = fault_of(f"{{{{ phone }}}}, {said}", TextKind.UNMONITORED_REPLY, "en", "Stella", [STELLA.location])

    assert fault == f"must name {missing}: somebody may need help at once"


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
