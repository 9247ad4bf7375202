"""Every way in which people say that they want no more texts, in English and Spanish. Pure.

An opt-out is heard wherever it stands in a message. What stands beside it is told, for a person to read.
Source: 47 CFR 64.1200(a)(10), since 2025-04-11: any reasonable wording counts.
"""

import re
import unicodedata
from typing import Final


def phrases(listed: str) -> frozenset[str]:
    """What stands between the strokes."""
    return frozenset(listed.split("|"))


_POLITE: Final = phrases(
    "please|pls|plz|plse|kindly|thanks|thank|you|thx|ty|ok|okay|k|hi|hello|hey|sorry|now|immediately|just|so|sir|maam"
    "|por|favor|porfavor|porfa|gracias|muchas|hola|ya|ahora|inmediatamente|bueno|oye"
)
"""Words that change nothing at the beginning and at the end of a message."""

_APOSTROPHES: Final = "'’‘`´"


def words_of(body: str) -> str:
    """Small letters and digits without accents, one space between words; no punctuation, no emoji."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", body).casefold())
    kept = (c for c in plain if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    words = "".join(c if c.isalnum() else "" if c in _APOSTROPHES else " " for c in kept).split()
    if len(words) > 1 and all(len(word) == 1 for word in words):
        return "".join(words)  # s t o p
    return " ".join(words)


def core_of(words: str) -> str:
    """Without the polite words around it."""
    kept = words.split()
    while kept and kept[0] in _POLITE:
        kept.pop(0)
    while kept and kept[-1] in _POLITE:
        kept.pop()
    return " ".join(kept)


def _folded(words: str) -> str:
    """Letters that are written twice, or held down, count once."""
    return re.sub(r"(.)\1+", r"\1", words)


_PLAIN: Final = phrases(
    "stop|stopall|stop all|stop stop|stop stop stop|quit|end|revoke|optout|opt out|cancel|cancel all|unsubscribe"
    "|remove|remove me|delete me"
    "|para|paren|pare|parar|alto|fin|salir|detener|detente|deten|detengan|detenganse|cancelar|cancela|cancelen"
    "|terminar|termina|terminen|baja|desuscribir|desuscribirme|revocar|revoco|anular"
    "|eliminar|eliminarme|eliminame|eliminenme|quitame|quitenme|borrame|borrenme|no molestar|no molesten"
)
_MORE_THAN_THAT: Final = phrases(
    "wrong number|wrong person|no more|stop it|leave me alone|go away"
    "|numero equivocado|basta|no mas|no me molesten|dejenme en paz|dejame en paz"
)
"""Opt-outs that a person should hear of: nobody meant to text them, or they may be about more than texts."""

_WHOLE: Final = frozenset(_folded(words) for words in _PLAIN | _MORE_THAN_THAT)

_NEGATED: Final = r"(?<!dont )(?<!not )(?<!never )(?<!didnt )(?<!did )(?<!why )"
_WANT: Final = (
    r"(?<!dont want to )(?<!not want to )(((i|we|id|how (do|can) i) )?(want|wish|would like|like|do|can) (to )?)?"
)
_TEXTS: Final = r"(texts?|texting|txts?|messag(es?|ing)|msgs?|sms|notifications?|alerts?|reminders?)"
_THESE: Final = (
    r"( (me|us|any|all|of|with|the|these|those|this|your|my|more|from|auto|automated|sending|getting|receiving))*"
)
_TO_ME: Final = (
    r"( to)?( (me|us|here|back|again|any ?more|(to |at |on )?(this|my) ((cell|mobile) )?(number|phone))| ?$)"
)

_TEXTOS: Final = r"(mensajes?|mensajitos?|textos?|sms|recordatorios?|avisos?|notificaciones)"
_ESTOS: Final = r"( (me|nos|mas|tantos|tantas|los|las|sus|su|estos|estas|esos|esas|de|recibir|que me (manden|envien)))*"
_MANDEN: Final = r"(manden?|mandes?|mandar(me|nos)?|envien?|envies?|enviar(me|nos)?)"
_ESCRIBAN: Final = (
    r"(escriban?|escribas?|escribir(me)?|textee[ns]?|textear|mensajeen?|contacte[ns]?|contactar(me)?|molesten?"
    r"|molestes?|molestar(me)?)"
)

_ASKED: Final = (
    # stop texting me; stop sending me these messages; no more texts; cancel the reminders; stop contacting us
    rf"{_NEGATED}\b(stop|quit|cease|end|discontinue|cancel|no more|enough){_THESE} {_TEXTS}",
    rf"{_NEGATED}\b(stop|quit|cease) (contacting|bothering|harassing|spamming|writing|messaging|sending)",
    # please don't text me; do not message this number again; never send me reminders; I no longer wish to receive texts
    r"\b(dont|do not|never|no|not)( (ever|you|keep|want you to))*"
    rf" (text|txt|texting|message|messaging|msg|contact|contacting|write|sms){_TO_ME}",
    rf"\b(dont|do not|never)( \w+)? send( out)?{_THESE} {_TEXTS}",
    rf"\b((i|we) )?(dont|do not|no longer|never) (wish|want|like|need)( to (get|receive|be|have))?{_THESE} {_TEXTS}",
    # I want to unsubscribe; how do I opt out; take me off your list; lose my number; I revoke my consent
    rf"{_NEGATED}\b{_WANT}(unsubscribed?|unsuscribe|opt ?out|opting out|opt me out)( (of|list)|{_THESE} {_TEXTS})*",
    r"\b(take|remove|delete|drop) (me|us|(my|this)( \w+)? number) (from|off|of)( of)?( \w+){0,3}"
    r" (lists?|texts?|texting|messages?|messaging|system|database|sms|here)",
    r"\b(remove|delete|lose|forget) (my|this)( \w+)? number",
    r"\b((i|we) )?(revoke|withdraw|take back)( (my|our|all))? consent( to (text|texts|texting|messages|be texted))?",
    r"\bleave (me|us) alone",
    # no me manden mensajes; no me escriban; dejen de mandarme mensajes; ya no quiero sus mensajes; denme de baja
    rf"\b(no|nunca)( (me|nos|le|quiero que me|vuelvan a|vuelva a|mas))* {_MANDEN}"
    rf"({_ESTOS} ({_TEXTOS}|nada)|( mas)? ?$)",
    rf"\b(no|nunca)( (me|nos|vuelvan a|vuelva a))+ {_ESCRIBAN}",
    rf"\b(dejen?|dejes?|deja|paren?|para|basta|cesen)( ya)? de ({_MANDEN}|{_ESCRIBAN})({_ESTOS} {_TEXTOS})?",
    rf"\bno (quiero|deseo|queremos|deseamos|necesito){_ESTOS} {_TEXTOS}( (suyos|de ustedes))*",
    rf"\b(no mas|basta de|alto a|cancelar?|cancelen|paren|detengan|detener|terminar|parar){_ESTOS} {_TEXTOS}",
    r"\b((quiero|deseo|necesito|favor de|me quiero) )?(dar(me|nos)?|den(me|nos)|dame|deme) de baja",
    r"\b(quit(ar|en|a)|borr(ar|en|a)|elimin(ar|en|a)|sa(car|quen|ca))(me)?( de (la|su|esta) lista| (mi|este) numero)",
)
_REST: Final = (
    r"( (any ?more|again|ever|now|please|at all|me|us|to|from|you|all|here|(at |on )?(this|my) (number|phone)"
    r"|mas|nunca|otra vez|por favor|a este numero))*"
)
_SENTENCE: Final = re.compile(f"({'|'.join(_ASKED)})\\b{_REST}")


def opt_out_in(words: str) -> str | None:
    """What is left of a message beside its opt-out; None where it has none.

    Args:
        words: the message as `words_of` writes it.
    """
    core = core_of(words)
    if _folded(core) in _WHOLE:
        return core if core in _MORE_THAN_THAT else ""
    if (found := _SENTENCE.search(words)) is None:
        return None
    return f"{core_of(words[: found.start()])} {core_of(words[found.end() :])}".strip()
