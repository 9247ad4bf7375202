"""What a text says: templates in a sandbox, whose instants are told on the clinic's clock. Pure.

What a text may never say stands in `lint`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from shared.configuration.clinic import Location
from shared.contract.closed_sets import TextKind

MOST_DATES: Final = 6
"""A list of dates shows this many and counts the rest."""


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
        "y otras {count}",
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
    shown = [f"{tell_day(local, language)} {tell_time(local)}" for local in locals[:MOST_DATES]]
    if (rest := len(locals) - len(shown)) > 0:
        shown.append(LANGUAGES[language].more.format(count=rest))
    return ", ".join(shown)


def tell_phone(phone: str) -> str:
    """E.164 as people dial it at home: 618-555-0100; other countries' numbers as they are."""
    found = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", phone)
    return "-".join(found.groups()) if found else phone


_SANDBOX: Final = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)

ONE_DATE: Final = frozenset(
    {
        TextKind.PREPARATION,
        TextKind.DAY_BEFORE,
        TextKind.DAY_OF,
        TextKind.MOVED,
        TextKind.AFTER_CARE,
        TextKind.NEXT_DAY,
    }
)
"""Texts about one session: `day` and `time`; of a move `old_day` and `old_time`, too."""

MANY_DATES: Final = frozenset({TextKind.BOOKED, TextKind.COMPANION_NOTICE, TextKind.CANCELLED, TextKind.RELEASED})
"""Texts about any number of sessions: `dates`."""


def compiled(source: str) -> Template:
    """A template.

    Raises:
        TemplateError: it is not one.
    """
    return _SANDBOX.from_string(source)


def compose(
    template: Template,
    kind: TextKind,
    language: str,
    sender: str,
    location: Location,
    starts: Sequence[datetime],
    previous: datetime | None = None,
    driver: bool = True,
) -> str:
    """The body of a text, in one line.

    Args:
        sender: the name that the clinic uses in texts.
        starts: the appointments that the text is about, in order.
        previous: when the appointment was that has been moved.
        driver: whether the patient must not drive home.

    Raises:
        TemplateError: the template asks for something that a text of this kind does not know.
    """
    locals = [location.local(instant) for instant in starts]
    facts: dict[str, str | bool] = {
        "sender": sender,
        "phone": tell_phone(location.phone),
        "address": location.address,
        "driver": driver,
    }
    if kind in MANY_DATES:
        facts["dates"] = tell_dates(locals, language)
    elif kind in ONE_DATE and locals:
        facts |= {"day": tell_day(locals[0], language), "time": tell_time(locals[0])}
        if previous is not None:
            old = location.local(previous)
            facts |= {"old_day": tell_day(old, language), "old_time": tell_time(old)}
    return " ".join(template.render(facts).split())
