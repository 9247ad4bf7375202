"""What people write back, and what it means: each wording that matters is a row here."""

import string
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.meaning import Time, Word, read

OPT_OUTS = """
    stop|STOP|Stop.| stop.|stop!!!|"stop"|Stop please|please stop|PLEASE STOP|stop now|ok stop|stop stop stop
    STOPALL|stop all|stop it
    s t o p|S.T.O.P.|sto\u200bp|ＳＴＯＰ|stoppp|STOP 🛑|stop\n|quit|Quit.|end|END|revoke|Opt out|opt-out|OPTOUT
    opt out please
    cancel|CANCEL.|Cancel!|cancel please|please cancel|unsubscribe|Unsubscribe me|unsubscribe me please|remove
    remove me|no more|wrong number
    please don't text me|Please don’t text me.|dont text me|do not text me|DO NOT TEXT ME AGAIN|Don't text me anymore!
    don't message me|do not contact me|never text me again|don't text this number|do not text|don't text back
    please do not send me any more texts
    don't send me messages|stop texting me|Stop texting|stop sending me messages|stop sending these texts
    please stop the messages
    stop all messages|quit texting me|stop contacting me|stop messaging me please|no more texts
    no more messages please|end texts
    cancel texts|cancel the reminders|I don't want these texts|i do not want to receive texts
    I no longer wish to receive messages
    i don't want any more messages from you|I want to unsubscribe|how do i unsubscribe|unsubscribe from these texts
    I want to opt out
    opt me out|take me off your list|take me off this texting list|remove me from your list|remove my number
    delete my number please
    lose my number|I revoke my consent|i withdraw consent|leave me alone|please leave me alone|enough texts
    para|Para.|PARA POR FAVOR|alto|¡Alto!|basta|Ya basta|pare|paren|parar|fin|salir|baja|dar de baja|denme de baja
    quiero darme de baja
    cancelar|detener|no más|No mas mensajes|no me manden mensajes|No me manden más mensajes
    por favor no me manden mensajes
    no me envíen mensajes|no me manden nada|no me manden|no me escriban|no me escriban más|no me vuelvan a escribir
    no me contacten
    dejen de mandarme mensajes|dejen de escribirme|deja de molestarme|no quiero recibir mensajes
    ya no quiero sus mensajes
    no quiero más mensajes|quítenme de la lista|borren mi número|no me molesten|stop por favor
    dejen de enviar mensajes por favor
"""

OPT_OUTS_THAT_SAY_MORE = """
    stop texting me, I can't take this any longer|please stop texting me I already paid|wrong number
    número equivocado|leave me alone|stop it
    please don't text me about my mother's appointment|no me manden mensajes, ya me morí
"""

NOT_OPT_OUTS = """
    cancel my appointment|Please cancel my appointment|cancel my session tomorrow|I need to cancel|stop by at 5?
    can I stop by tomorrow
    the pain won't stop|make it stop|I just want it to stop|I want to end it|end it all|I want to end my life
    don't stop texting me
    please do not stop the reminders|I can't text right now|when does the treatment end|I quit smoking
    is there a bus stop
    no me manden la factura|cancelar mi cita|quiero cancelar mi cita|hasta el fin de semana|para qué es la cita|no
    nope|can you text me the address
    I got your text|thanks for the text|text me when ready|I did not get a text|I never got your text
    take me off the schedule tomorrow
"""

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


def rows(table: str) -> list[str]:
    """The messages of a table, as they are written."""
    lines = [line.removeprefix("    ") for line in table.split("\n")]
    return [message for line in lines for message in line.split("|") if message]


@pytest.mark.parametrize("body", rows(OPT_OUTS))
def test_an_opt_out_is_heard_in_whatever_words(body: str) -> None:
    assert read(body).word is Word.OPT_OUT


@pytest.mark.parametrize("body", rows(OPT_OUTS_THAT_SAY_MORE))
def test_what_an_opt_out_says_besides_is_read_by_a_person(body: str) -> None:
    assert read(body) == (Word.OPT_OUT, None, True)


@pytest.mark.parametrize("body", ["stop", "Please stop texting me.", "please don't text me", "no me manden mensajes"])
def test_an_opt_out_that_says_nothing_else_needs_no_reader(body: str) -> None:
    assert read(body) == (Word.OPT_OUT, None, False)


@pytest.mark.parametrize("body", rows(NOT_OPT_OUTS))
def test_what_only_sounds_like_an_opt_out_is_none(body: str) -> None:
    assert read(body).word is not Word.OPT_OUT


@pytest.mark.parametrize(("word", "body"), [(word, body) for word, table in MEANINGS.items() for body in rows(table)])
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


PLAIN = [body for body in rows(OPT_OUTS) if body.isascii() and "\n" not in body]
NOISE = st.text(alphabet=" \t\n.,!?;:\"'()*-_#~", max_size=6)


@given(st.sampled_from(PLAIN), NOISE, NOISE, st.data())
def test_neither_case_nor_punctuation_nor_space_hides_an_opt_out(
    body: str, before: str, after: str, data: st.DataObject
) -> None:
    flips = data.draw(st.lists(st.booleans(), min_size=len(body), max_size=len(body)))
    written = "".join(c.upper() if flip else c.lower() for c, flip in zip(body, flips, strict=True))
    spaced = written.replace(" ", data.draw(st.sampled_from([" ", "  ", "\n", " \t", ", ", "... "])))
    assert read(before + spaced + after).word is Word.OPT_OUT


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
