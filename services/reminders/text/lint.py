"""What a text may never say, and what it must: every clinic's wording is tried before its service starts. Pure.

A text names no treatment, drug, diagnosis or amount, invites no word that carriers take for an opt-out or opt-in, and
gives the clinic's phone to whoever has a question. Other characters than GSM-7's are allowed, and warned of.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from jinja2 import TemplateError

from services.reminders.text.segments import outside_gsm_7, segments
from services.reminders.text.wording import LANGUAGES, MOST_DATES, compiled, compose, tell_phone
from shared.configuration.clinic import Location
from shared.contract.closed_sets import TextKind

MOST_SEGMENTS: Final = 2

_DISCLOSING: Final = re.compile(
    r"[$€£]"
    r"|\b(usd|dollars?|dolar(es)?|cents?|centavos?|price|precio|costs?\b|cuesta|importe"
    r"|copay|copago|deducible|deductible"
    r"|e?s?ketamin|ketanest|spravato|infus|inject|inyec|intraven|intranas|\biv\b|dose|dosis|drug|droga|medic|vitamin"
    r"|opioid|opioide|sedat|sedac|anesth|anest"
    r"|tms|sgb|magnet|stellate|estrellado|ganglio|nerve|nervio|block\b|bloqueo"
    r"|inducti|inducci|maintenance|mantenim|booster|refuerzo"
    r"|treat|tratam|therap|terap|psych|psiqu|psico|mental|depress|depres|anxi|ansied|ptsd|tept|ocd\b|toc\b"
    r"|bipolar|suicid"
    r"|trauma|addict|adicc|pain\b|dolor\b|diagnos|migra(in|n)|disorder|trastorno|illness|enfermedad|disease)"
)
"""Words, or their beginnings, that tell why somebody is a patient, or how much it costs; without accents."""

_SHOUTED: Final = re.compile(
    r"\b(STOPALL|UNSUBSCRIBE|END|QUIT|REVOKE|OPTOUT|CANCEL|START|UNSTOP|YES|INFO|CANCELAR|ALTO)\b"
)
_INVITED: Final = re.compile(
    r"\b(reply|text|send|answer|respond|write|type|responda|conteste|envie|escriba|mande|texto)\b"
    r"( (with|us|back|con|la palabra))* [\"'«“]?"
    r"(stopall|unsubscribe|end|quit|revoke|opt ?out|cancel|start|unstop|yes|info|cancelar|alto|fin|parar|baja)\b"
)
"""A text may offer STOP and HELP; a reply with one of these would end or begin all texting.

Source: Twilio's and the carriers' own keyword lists, and the words that we take for an opt-out.
"""

_FIRST: Final = frozenset({TextKind.BOOKED, TextKind.COMPANION_NOTICE})
"""The first text that somebody gets says who writes, and how to end it."""

_SAFETY: Final = ("911", "988")


def bodies(
    source: str, kind: TextKind, language: str, sender: str, locations: Sequence[Location]
) -> Iterator[tuple[str, Location]]:
    """A wording as every location would send it: with the longest list of dates, and each with a driver and without.

    Raises:
        TemplateError: it is no template for this kind.
    """
    template = compiled(source)
    start = datetime(2026, 9, 30, 17, 30, tzinfo=UTC)
    starts = [start + timedelta(weeks=n) for n in range(MOST_DATES + 100)]
    for location in locations:
        for driver in (True, False):
            previous = start if kind is TextKind.MOVED else None
            yield compose(template, kind, language, sender, location, starts, previous, driver), location


def fault_of(source: str, kind: TextKind, language: str, sender: str, locations: Sequence[Location]) -> str | None:
    """Why a clinic must not send this, or None."""
    if language not in LANGUAGES:
        return f"dates cannot be told in {language!r}, only in {', '.join(sorted(LANGUAGES))}"
    if found := _DISCLOSING.search(_plain(source)):
        return _discloses(found.group())
    try:
        for body, location in bodies(source, kind, language, sender, locations):
            if fault := _fault_of_body(body, kind, sender, location):
                return fault
    except TemplateError as error:
        return f"is no template for {kind}: {error}"
    return None


def not_gsm_7(source: str, kind: TextKind, language: str, sender: str, locations: Sequence[Location]) -> str:
    """The characters of a sound wording that more than double its length on the air."""
    found = (outside_gsm_7(body) for body, _ in bodies(source, kind, language, sender, locations))
    return next((odd for odd in found if odd), "")


def _fault_of_body(body: str, kind: TextKind, sender: str, location: Location) -> str | None:
    if not body:
        return "is empty"
    plain = _plain(body)
    if found := _DISCLOSING.search(plain):
        return _discloses(found.group())
    if found := _SHOUTED.search(body) or _INVITED.search(plain):
        return f"must not invite {found.group()!r}: carriers take that reply for an opt-out or opt-in"
    if kind in _FIRST and not (sender in body and re.search(r"\bSTOP\b", body)):
        return "must say who writes and how to end the texts (STOP)"
    if segments(body) > MOST_SEGMENTS:
        return f"takes {segments(body)} segments with the longest dates, at most {MOST_SEGMENTS} are allowed"
    if tell_phone(location.phone) not in body:
        return "must give the clinic's phone, for questions"
    if kind is TextKind.UNMONITORED_REPLY and (missing := [number for number in _SAFETY if number not in body]):
        return f"must name {' and '.join(missing)}: somebody may need help at once"
    return None


def _discloses(word: str) -> str:
    return f"must not say {word!r}: a text names no treatment, drug, diagnosis or amount"


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
