"""What a clinic is not let say, and what it must."""

import pytest

from services.reminders.profile import read_places
from services.reminders.text.lint import fault_of
from shared.contract.closed_sets import TextKind
from tests.stand_ins.reminders_story import PROFILES, STELLA

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
