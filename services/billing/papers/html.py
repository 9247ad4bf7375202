"""Papers as HTML that is made for print: one file, no script, nothing from elsewhere. Pure.

A paper is kept as it was issued, so what a patient got can be shown again whatever becomes of the templates.
"""

import re
from dataclasses import fields
from datetime import date, time
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.billing.papers.estimate import Estimate
from services.billing.papers.receipt import Receipt
from services.billing.papers.superbill import PLACES_OF_SERVICE, Superbill
from shared.contract.closed_sets import Method

Document = Estimate | Superbill | Receipt


def dollars(cents: int) -> str:
    """Money as in $1,234.05."""
    return f"${cents // 100:,}.{cents % 100:02}"


def date_of(on: date) -> str:
    """A date as in Mar 2, 2026; the names do not follow the machine's locale."""
    months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    month = (on.month - 1) * 3
    return f"{months[month : month + 3]} {on.day}, {on.year}"


def day(on: date) -> str:
    """A day as in Mon Mar 2, 2026."""
    weekday = on.weekday() * 3
    return f"{'MonTueWedThuFriSatSun'[weekday : weekday + 3]} {date_of(on)}"


def clock(at: time) -> str:
    """A time as in 9:05 AM."""
    return f"{(at.hour - 1) % 12 + 1}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


def method(how: Method) -> str:
    """How money came in, as people write it."""
    return how.upper() if how in (Method.HSA, Method.FSA) else how


def phone(number: str) -> str:
    """E.164 as people dial it at home: 618-555-0100; other countries' numbers as they are."""
    found = re.fullmatch(r"\+1(\d{3})(\d{3})(\d{4})", number)
    return "-".join(found.groups()) if found else number


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "dollars": dollars,
    "date": date_of,
    "day": day,
    "clock": clock,
    "method": method,
    "phone": phone,
}
_ENVIRONMENT.globals["places_of_service"] = PLACES_OF_SERVICE

_TEMPLATES: Final = {
    kind: _ENVIRONMENT.get_template(f"{kind.__name__.lower()}.html") for kind in (Estimate, Superbill, Receipt)
}


def page(document: Document, paper_id: str, version: int, issued_on: date) -> str:
    """The paper, whole.

    Args:
        paper_id: stands on it, so that a person can ask for it.
        issued_on: on the clinic's calendar.
    """
    facts = {field.name: getattr(document, field.name) for field in fields(document)}
    return _TEMPLATES[type(document)].render(facts, paper_id=paper_id, version=version, issued_on=issued_on)
