"""What somebody who writes back means: a few words that are known, and everything else is unclear. Pure.

An opt-out counts in whatever words a reasonable person uses for it, so what asks for no more texts is found anywhere in
a message. Everything else counts only where the message is nothing but a word or phrase that is known; what says more
is unclear, and read by a person.

Source: 47 CFR 64.1200(a)(10), since 2025-04-11 (stop, quit, end, revoke, opt out, cancel, unsubscribe, and any other
reasonable means); Twilio's keyword lists (STOPALL, OPTOUT; START, YES, UNSTOP; HELP, INFO).
"""

import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from services.reminders.people.opt_out import core_of, opt_out_in, phrases, words_of


class Word(StrEnum):
    """What a message says, whoever says it and whatever was said before."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    YES = "yes"
    """A carrier's opt-in word, and what people answer to any question."""
    HELP = "help"
    CONFIRM = "confirm"
    CANNOT_COME = "cannot_come"
    TIME = "time"
    """The time of an appointment and nothing else."""
    UNCLEAR = "unclear"


class Time(NamedTuple):
    """A time of the day as people write it: with `half` am or pm, or left to be guessed."""

    hour: int
    minute: int
    half: str | None

    def means(self, local: datetime) -> bool:
        """Whether a clock that shows `local` can be meant."""
        if self.minute != local.minute:
            return False
        if self.half is not None:
            return self.hour % 12 + (12 if self.half == "p" else 0) == local.hour
        return self.hour == local.hour or (self.hour <= 12 and self.hour % 12 == local.hour % 12)


class Reading(NamedTuple):
    """What was understood. `time` is the appointment's where it was named; `more`: a person should read the rest."""

    word: Word
    time: Time | None = None
    more: bool = False


def read(body: str) -> Reading:
    """What a message means, in English or Spanish, in any case, punctuation and spelling of accents."""
    words = words_of(body)
    if (rest := opt_out_in(words)) is not None:
        return Reading(Word.OPT_OUT, more=bool(rest))
    if words in _HELP:  # with anything around it, such as "please help", a person must read it
        return Reading(Word.HELP)
    core = core_of(words)
    if (word := _known(core)) is not None:
        return Reading(word)
    without, time = _without_time(body)
    if time is None:
        return Reading(Word.UNCLEAR)
    core = core_of(" ".join(w for w in words_of(without).split() if w not in _AROUND_TIMES))
    word = _known(core) if core else Word.TIME
    return Reading(word, time) if word in (Word.TIME, Word.CONFIRM, Word.CANNOT_COME) else Reading(Word.UNCLEAR)


_HELP: Final = frozenset({"help", "info", "ayuda", "informacion"})

_STARTS: Final = phrases(
    "start|unstop|opt in|optin|opt me in|resume|subscribe|subscribe me|start texts|start again|start texting me"
    "|comenzar|empezar|iniciar|reanudar|suscribir|suscribirme|reactivar"
)

_YES: Final = frozenset({"yes", "si", "yep", "yeah", "yes i will", "claro", "claro que si"})

_CONFIRMS: Final = phrases(
    "c|confirm|confirmed|confirming|i confirm|c confirm|yes c|c yes|yes confirm|yes confirmed|i will be there"
    "|ill be there|we will be there|see you then|confirmo|confirmar|confirmado|confirmada|si confirmo|si c|ahi estare"
    "|alli estare"
)

_VISIT_EN: Final = r"(my|the|our|this|that|todays|tomorrows)( \w+days?)? (appointment|appt|apt|visit|session|booking)s?"
_VISIT_ES: Final = r"(mi|la|mis|las|nuestra|esta) (cita|visita|sesion|consulta)(e?s)?"
_WHEN: Final = (
    r"( (for|on|at|of|today|tomorrow|tonight|this|next|week|morning|afternoon|de|del|para|el|la|a|las|hoy|manana|tarde"
    r"|(mon|tues|wednes|thurs|fri|satur|sun)day|lunes|martes|miercoles|jueves|viernes|sabado|domingo))*"
)
_CANNOT: Final = re.compile(
    r"(r|r reschedule|no r|reschedule|re schedule|resched"
    r"|(i|we)? ?(cant|cannot|can not|wont|will not|wont be able to|will not be able to|am not able to|am unable to)"
    r" (come|come in|make it|be there|attend|make (my|the|our) (appointment|appt|visit|session))"
    r"|((i|we) )?(need|have|want|would like|must|got) to (cancel|reschedule|rebook|move|change)( it)?"
    rf"|((((i|we) )?(need|have|want|would like|must) to|can (i|we|you)|could (i|we|you)) )?"
    rf"(cancel|cancell|reschedule|rebook|move|change) ({_VISIT_EN}|appointment|appt|visit|session)"
    r"|no (puedo|podemos|podre|podremos|voy a poder|vamos a poder|podria) (ir|asistir|llegar|venir|acudir)( a"
    rf" {_VISIT_ES})?"
    r"|no (voy|ire|asistire) a (ir|asistir|llegar|venir)"
    rf"|((quiero|necesito|quisiera|tengo que|puedo|podria|podemos|queremos|necesitamos) )?"
    rf"(cancelar|cancelen|cancela|cancele|cambiar|cambien|mover|reprogramar|reagendar|posponer)( ({_VISIT_ES}|cita))"
    rf"|reprogramar|reagendar"
    rf"|(quiero|necesito|quisiera|tengo que) (cancelar|cambiar|reprogramar|reagendar)){_WHEN}"
)
"""A whole message that says nothing but that somebody cannot come, or not then."""


def _known(core: str) -> Word | None:
    if core in _STARTS:
        return Word.OPT_IN
    if core in _YES:
        return Word.YES
    if core in _CONFIRMS:
        return Word.CONFIRM
    return Word.CANNOT_COME if _CANNOT.fullmatch(core) else None


_TIME: Final = re.compile(r"(?<![\d:.])(\d{1,2})(?:\s?[:.h]\s?(\d{2}))?\s?(?:([ap])\.?\s?m\b\.?)?(?![\d:])")
_AROUND_TIMES: Final = phrases(
    "at|the|one|a|las|la|de|manana|tarde|hrs|hours|oclock|am|pm|is|my|appointment|mine|cita|es|for|mi"
)


def _without_time(body: str) -> tuple[str, Time | None]:
    """A message without the one time that it names, and that time."""
    plain = unicodedata.normalize("NFKC", body).casefold()
    found = list(_TIME.finditer(plain))
    if len(found) != 1:
        return body, None
    hour, minute, half = found[0].groups()
    time = Time(int(hour), int(minute or 0), half)
    if time.hour > 23 or time.minute > 59 or (half is not None and not 1 <= time.hour <= 12):
        return body, None
    return plain[: found[0].start()] + " " + plain[found[0].end() :], time
