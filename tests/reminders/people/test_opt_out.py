"""Opt-outs in whatever words, and what only sounds like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.people.meaning import Word, read
from tests.stand_ins.phrases import written_in

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


@pytest.mark.parametrize("body", written_in(OPT_OUTS))
def test_an_opt_out_is_heard_in_whatever_words(body: str) -> None:
    assert read(body).word is Word.OPT_OUT


@pytest.mark.parametrize("body", written_in(OPT_OUTS_THAT_SAY_MORE))
def test_what_an_opt_out_says_besides_is_read_by_a_person(body: str) -> None:
    assert read(body) == (Word.OPT_OUT, None, True)


@pytest.mark.parametrize("body", ["stop", "Please stop texting me.", "please don't text me", "no me manden mensajes"])
def test_an_opt_out_that_says_nothing_else_needs_no_reader(body: str) -> None:
    assert read(body) == (Word.OPT_OUT, None, False)


@pytest.mark.parametrize("body", written_in(NOT_OPT_OUTS))
def test_what_only_sounds_like_an_opt_out_is_none(body: str) -> None:
    assert read(body).word is not Word.OPT_OUT


PLAIN = [body for body in written_in(OPT_OUTS) if body.isascii() and "\n" not in body]
NOISE = st.text(alphabet=" \t\n.,!?;:\"'()*-_#~", max_size=6)


@given(st.sampled_from(PLAIN), NOISE, NOISE, st.data())
def test_neither_case_nor_punctuation_nor_space_hides_an_opt_out(
    body: str, before: str, after: str, data: st.DataObject
) -> None:
    flips = data.draw(st.lists(st.booleans(), min_size=len(body), max_size=len(body)))
    written = "".join(c.upper() if flip else c.lower() for c, flip in zip(body, flips, strict=True))
    spaced = written.replace(" ", data.draw(st.sampled_from([" ", "  ", "\n", " \t", ", ", "... "])))
    assert read(before + spaced + after).word is Word.OPT_OUT
