"""The kinds of field that events are made of: ids, lines, instants, money. Each refuses what cannot be written down."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _printable(text: str) -> str:
    """Refuse control characters (PostgreSQL cannot store NUL) and marks that reorder what an operator reads."""
    if _CONTROLS.search(text):
        raise ValueError("holds a control character")
    return text


def _written_out(value: object) -> object:
    """Refuse a number, which pydantic would count in seconds since 1970: it carries no offset."""
    if isinstance(value, int | float) or (isinstance(value, str) and value[4:5] != "-"):
        raise ValueError("is not written as YYYY-MM-DD")
    return value


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: it lies before 1900 or after 2999, where a rule that adds a day could leave the calendar.
    """
    if not 1900 <= instant.year <= 2999:
        raise ValueError("is no instant that can be meant")
    return instant.astimezone(UTC)


Id = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
"""An opaque id of 1 to 64 printable characters, made by whoever owns the thing."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
"""A short name or code: a location, a treatment, a plan."""

Line = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_printable)]
"""One line of free text."""

Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(to_utc)]
"""A moment with an offset on the wire, UTC inside."""

Day = Annotated[date, BeforeValidator(_written_out)]
"""A day of the calendar, YYYY-MM-DD."""

Flag = Annotated[bool, Field(strict=True)]
"""true or false; never "yes" or 1: a consent is not guessed."""

Cents = Annotated[int, Field(strict=True, ge=0, le=100_000_000)]
"""Money in integer cents, at most a million dollars."""

PositiveCents = Annotated[int, Field(strict=True, gt=0, le=100_000_000)]

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

Count = Annotated[int, Field(strict=True, ge=1, le=200)]

Minutes = Annotated[int, Field(strict=True, ge=1, le=600)]

Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""E.164."""

WallTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM on the clinic's clock."""
