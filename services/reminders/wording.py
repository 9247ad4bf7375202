"""What a text says: templates in a sandbox, how long they are on the air, and what they may never say. Pure.

A text names no treatment, drug, diagnosis or amount, tells the time in the clinic's zone, and never invites a word
that carriers take for an opt-out or opt-in.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from shared.clinic import Location
from shared.contract import TextKind

MOST_SEGMENTS: Final = 2
MOST_DATES: Final = 6
"""A list of dates shows this many and counts the rest."""

# Length on the air ----------------------------------------------------------------------------------------------------

_GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà\x1bÆæßÉ"
)
_GSM_7_TWICE: Final = frozenset("^{}\\[~]|€")


def segments(body: str) -> int:
    """In how many parts a carrier sends it: GSM-7 160 or 153 a part, else UCS-2 70 or 67 a part.

    Source: 3GPP TS 23.038.
    """
    if all(c in _GSM_7 or c in _GSM_7_TWICE for c in body):
        length, one, many = len(body) + sum(c in _GSM_7_TWICE for c in body), 160, 153
    else:
        length, one, many = len(body.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= one else -(-length // many)


# Dates ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Language:
    days: tuple[str, ...]
    months: tuple[str, ...]
    day: str
    more: str


LANGUAGES: Final[Mapping[str, _Language]] = {
    "en": _Language(
        tuple(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
        tuple(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]),
        "{weekday} {month} {day}",
        "and {count} more",
    ),
    "es": _Language(
        tuple(["lun", "mar", "mié", "jue", "vie", "sab", "dom"]),
        tuple(["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"]),
        "{weekday} {day} {month}",
        "y {count} más",
    ),
}
"""Languages in which dates can be told."""


def tell_day(local: datetime, language: str) -> str:
    """A day as in "Tue Mar 3"; `local` is the clinic's wall clock."""
    words = LANGUAGES[language]
    return words.day.format(weekday=words.days[local.weekday()], month=words.months[local.month - 1], day=local.day)


def tell_time(local: datetime) -> str:
    """A time as in "9:05 AM"."""
    return f"{(local.hour - 1) % 12 + 1}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"


def tell_dates(locals: Sequence[datetime], language: str) -> str:
    """Several appointments in one line; those beyond `MOST_DATES` are counted."""
    told = [f"{tell_day(local, language)} {tell_time(local)}" for local in locals[:MOST_DATES]]
    if (rest := len(locals) - len(told)) > 0:
        told.append(LANGUAGES[language].more.format(count=rest))
    return ", ".join(told)


def tell_phone(phone: str) -> str:
    """E.164 as people dial it at home: 618-555-0100; other countries' numbers as they are."""
    found = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", phone)
    return "-".join(found.groups()) if found else phone


# Templates ------------------------------------------------------------------------------------------------------------

_SANDBOX: Final = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)

SESSION_KINDS: Final = frozenset({TextKind.PREPARATION, TextKind.DAY_BEFORE, TextKind.DAY_OF, TextKind.AFTER_CARE})
"""Texts about one session."""


def compiled(source: str) -> Template:
    """A template.

    Raises:
        TemplateError: it is not one.
    """
    return _SANDBOX.from_string(source)


def compose(
    template: Template, kind: TextKind, language: str, sender: str, location: Location, starts: Sequence[datetime]
) -> str:
    """The body of a text, in one line.

    Args:
        sender: the name that the clinic uses in texts.
        starts: the appointments that the text is about, in order.

    Raises:
        TemplateError: the template asks for something that a text of this kind does not know.
    """
    locals = [location.local(instant) for instant in starts]
    facts = {"sender": sender, "phone": tell_phone(location.phone)}
    if kind is TextKind.BOOKED:
        facts["dates"] = tell_dates(locals, language)
    elif kind in SESSION_KINDS and locals:
        facts |= {"day": tell_day(locals[0], language), "time": tell_time(locals[0])}
    return " ".join(template.render(facts).split())


# What a text may never say --------------------------------------------------------------------------------------------

_DISCLOSING: Final = re.compile(
    r"[$€£]"
    r"|\b(usd|dollars?|dolar(es)?|cents?|centavos?"
    r"|e?s?ketamin|spravato|infus|inject|inyec|intraven|dose|dosis|drug|droga|medic|vitamin"
    r"|tms|sgb|magnet|stellate|estrellado|ganglion|nerve|block\b|bloqueo"
    r"|treat|tratam|therap|terap|psych|psiqu|psico|mental|depress|depres|anxi|ansied|ptsd|tept|ocd\b|bipolar|suicid"
    r"|trauma|addict|adicc|pain\b|dolor\b|diagnos)"
)
"""Words, or their beginnings, that tell why somebody is a patient, or how much it costs."""

_CARRIER_WORDS: Final = re.compile(r"\b(STOPALL|UNSUBSCRIBE|END|QUIT|REVOKE|OPTOUT|CANCEL|START|UNSTOP|YES|INFO)\b")
"""A text may offer STOP and HELP; a reply with one of these would end or begin all texting.

Source: Twilio's and the carriers' own keyword lists.
"""


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def fault_of(source: str, kind: TextKind, language: str, sender: str, locations: Sequence[Location]) -> str | None:
    """Why a clinic must not send this, or None. It is tried with every location and the longest list of dates."""
    if language not in LANGUAGES:
        return f"dates cannot be told in {language!r}, only in {', '.join(sorted(LANGUAGES))}"
    starts = [datetime.fromisoformat("2026-09-30T17:30:00+00:00")] * (MOST_DATES + 100)
    for location in locations:
        try:
            body = compose(compiled(source), kind, language, sender, location, starts)
        except TemplateError as error:
            return f"is no template for {kind}: {error}"
        if not body:
            return "is empty"
        if found := _DISCLOSING.search(_plain(body)) or _DISCLOSING.search(_plain(source)):
            return f"must not say {found.group()!r}: a text names no treatment, drug, diagnosis or amount"
        if found := _CARRIER_WORDS.search(body):
            return f"must not invite {found.group()!r}: carriers take that reply for an opt-out or opt-in"
        if kind is TextKind.BOOKED and "STOP" not in body:
            return "must say how to end the texts (STOP)"
        if segments(body) > MOST_SEGMENTS:
            return f"takes {segments(body)} segments with the longest dates, at most {MOST_SEGMENTS} are allowed"
    return None
