"""What people write back, and what it means: each wording that matters is a row here."""

import string
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.meaning import Time, Word, read
from tests.stand_ins.phrases import written_in

MEANINGS = {
    Word.OPT_IN: "start|START|Start.|unstop|UNSTOP|please start|opt in|comenzar|empezar",
    Word.YES: "yes|YES|Yes!|yes please|si|Sí|yeah",
    Word.HELP: "help|HELP|Help!|info|INFO|ayuda|Ayuda.",
    Word.CONFIRM: "c|C|C.|c!|confirm|Confirmed|I confirm|ok c|C thanks|I'll be there|confirmo|Sí, confirmo",
    Word.CANNOT_COME: """
    r|R|R.|reschedule|please reschedule|I can't come|I cannot come|can't make it|I won't be able to make it
    cancel my appointment|Please cancel my appointment|cancel my appointment tomorrow|cancel the appointment on Monday
    I need to cancel|I need to reschedule|I have to cancel my appointment|can you cancel my session
    need to move my appointment|no puedo ir|No puedo asistir a mi cita|cancelar mi cita|quiero cancelar mi cita
    cambiar mi cita|cancelen mi cita de mañana
    """,
    Word.TIME: "10:30|10:30 am|10.30|at 10:30|the 10:30 one|10am|9 AM|2 p.m.|a las 10|a las 10:30|10:30 a. m.|14:00",
    Word.UNCLEAR: """
    👍|🙏🙏|?|...|-|c u later|help me|please help|I need help|can't come to terms with it|I can't come to terms
    I want to die|kill me|cc|rr|yes I want to end it|who is this|thank you|ok|911|call me at 3125550101|c r|1 2
    yes or no|10:30 or 11:30|25:00|10:75|13 pm|my appointment at 10:30 was awful|confirm what|start over
    I will start crying|no
    """,
}


@pytest.mark.parametrize(
    ("word", "body"), [(word, body) for word, table in MEANINGS.items() for body in written_in(table)]
)
def test_a_known_word_is_understood_and_nothing_else(word: Word, body: str) -> None:
    assert read(body).word is word


@pytest.mark.parametrize(
    ("body", "word", "named"),
    [
        ("C 10:30", Word.CONFIRM, Time(10, 30, None)),
        ("c 9am", Word.CONFIRM, Time(9, 0, "a")),
        ("R at 2 p.m.", Word.CANNOT_COME, Time(2, 0, "p")),
        ("10:30", Word.TIME, Time(10, 30, None)),
        ("a las 10", Word.TIME, Time(10, 0, None)),
    ],
)
def test_the_time_of_an_appointment_is_understood(body: str, word: Word, named: Time) -> None:
    assert read(body) == (word, named, False)


@pytest.mark.parametrize(
    ("written", "clock", "meant"),
    [
        (Time(10, 30, None), "10:30", True),
        (Time(10, 30, "a"), "10:30", True),
        (Time(10, 30, "p"), "10:30", False),
        (Time(10, 30, "p"), "22:30", True),
        (Time(2, 0, None), "14:00", True),
        (Time(14, 0, None), "14:00", True),
        (Time(12, 0, "p"), "12:00", True),
        (Time(12, 0, "a"), "12:00", False),
        (Time(12, 0, "a"), "00:00", True),
        (Time(10, 0, None), "10:30", False),
        (Time(22, 0, None), "10:00", False),
    ],
)
def test_a_time_is_compared_as_people_mean_it(written: Time, clock: str, meant: bool) -> None:
    assert written.means(datetime.fromisoformat(f"2026-03-16T{clock}")) is meant


@given(st.text(max_size=400))
def test_anything_at_all_can_be_read(body: str) -> None:
    assert isinstance(read(body).word, Word)


@pytest.mark.parametrize(
    "word", ["dont", "i dont want to", "stop", "no me", "cancel my", "10:30", "please", "a", "take me"]
)
def test_a_long_message_is_read_as_fast_as_a_short_one(word: str) -> None:
    begun_at = time.process_time()
    read(f"{word} " * 400)
    assert time.process_time() - begun_at < 0.2


@given(st.text(alphabet=string.ascii_lowercase + " ", min_size=12, max_size=60))
def test_what_is_not_known_word_for_word_is_never_taken_for_a_confirmation(body: str) -> None:
    assert read("my child is ill and " + body).word in (Word.UNCLEAR, Word.OPT_OUT)
