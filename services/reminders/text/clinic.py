"""What a clinic's profile tells reminders: its name in texts, its ladder of texts, its quiet hours, its wordings.

How the profile is read from its file stands in `services.reminders.profile`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Self

from jinja2 import Template
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from services.reminders.text.quiet_hours import CAUTIOUS, FEDERAL, STATES, Hours, every_day, narrower
from shared.configuration.clinic import Location, ProfilePart
from shared.contract.closed_sets import TextKind

_SPAN: Final = re.compile(r"(\d{1,4}) (min|h|days?)")
_UNITS: Final = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _span(value: Any) -> timedelta:
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a span of time such as "30 min", "72 h" or "2 days"')
    return int(found[1]) * _UNITS.get(found[2], _UNITS["d"])


Span = Annotated[timedelta, BeforeValidator(_span)]
"""A length of time with its unit, as in "72 h"."""


class Audience(StrEnum):
    """Whom a text is for."""

    PATIENT = "patient"
    COMPANIONS = "companions"


class Step(ProfilePart):
    """One kind of text: for whom, and for which treatments (all where none is named)."""

    audience: Annotated[frozenset[Audience], Field(min_length=1)] = frozenset({Audience.PATIENT})
    treatments: frozenset[str] | None = None


class Before(Step):
    """A text that goes out `before` an appointment; closer to it than `until` it is useless."""

    before: Span
    until: Span

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until >= self.before:
            raise ValueError("until must be closer to the appointment than before")
        return self


class After(Step):
    """A text that goes out `after` what it tells of; `until` as long after it is useless."""

    after: Span
    until: Span

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until <= self.after:
            raise ValueError("until must be longer than after")
        return self


def _answer(step: After) -> After:
    if step.audience != {Audience.PATIENT} or step.treatments is not None:
        raise ValueError("answers whoever wrote: it has no audience and no treatments")
    return step


Answer = Annotated[After, AfterValidator(_answer)]
_AT_ONCE: Final = After.model_validate({"after": "0 min", "until": "5 min"})
"""Source: 47 CFR 64.1200(a)(12): one text may confirm an opt-out, within five minutes."""


class Ladder(ProfilePart):
    """Which texts a clinic sends, and when; a kind that is left out is not sent, but the three answers always are.

    `booked` and `companion_notice` count from the first confirmation, `payment_due` from the demand, `moved`,
    `cancelled` and `released` from the change, `after_care` and `next_day` from the end of the treatment,
    `evaluation` and `booster_due` from the end of the course's last treatment, answers from what a person wrote, the
    others from the appointment.
    """

    booked: After | None = None
    companion_notice: After | None = None
    payment_due: After | None = None
    preparation: Before | None = None
    day_before: Before | None = None
    day_of: Before | None = None
    moved: After | None = None
    cancelled: After | None = None
    released: After | None = None
    after_care: After | None = None
    next_day: After | None = None
    evaluation: After | None = None
    booster_due: After | None = None
    opt_out_confirmed: Answer = _AT_ONCE
    help: Answer = _AT_ONCE
    unmonitored_reply: Answer = _AT_ONCE

    @model_validator(mode="after")
    def _whom(self) -> Self:
        if self.companion_notice is not None and self.companion_notice.audience != {Audience.COMPANIONS}:
            raise ValueError('companion_notice is for the audience ["companions"]')
        if self.payment_due is not None and self.payment_due.audience != {Audience.PATIENT}:
            raise ValueError("payment_due is for the patient alone")
        return self

    @cached_property
    def kinds(self) -> frozenset[TextKind]:
        """The kinds that the clinic sends."""
        return frozenset(TextKind(name) for name, step in self if step is not None)

    @cached_property
    def before_visit(self) -> Mapping[TextKind, Before]:
        """The steps that lead to an appointment, the earliest first."""
        steps = {TextKind(name): step for name, step in self if isinstance(step, Before)}
        return dict(sorted(steps.items(), key=lambda item: item[1].before, reverse=True))


class QuietHours(ProfilePart):
    """A clinic's own hours for texts, wall time of the person, on top of the law's."""

    earliest: time
    latest: time

    @property
    def hours(self) -> Hours:
        """The same on every day of the week."""
        return every_day(self.earliest, self.latest)

    @model_validator(mode="after")
    def _stricter_only(self) -> Self:
        if self.latest <= self.earliest:
            raise ValueError("latest must be later than earliest")
        (opens, closes), *_ = FEDERAL
        if self.earliest < opens or self.latest > closes:
            raise ValueError(f"may only be stricter than the law's {opens:%H:%M} to {closes:%H:%M}")
        for region, lawful in (*STATES.items(), ("an unknown region", CAUTIOUS)):
            if any(a >= b for a, b in narrower(lawful, self.hours)):
                raise ValueError(f"leaves no time for texts in {region} on some day")
        return self


class RemindersProfile(ProfilePart):
    """`reminders.toml`. `wording` is by language, then by kind; `drivers` are treatments after which nobody drives."""

    sender: Annotated[str, Field(min_length=1, max_length=40)]
    language: str = "en"
    quiet_hours: QuietHours | None = None
    drivers: frozenset[str] = frozenset()
    ladder: Ladder
    wording: dict[str, dict[TextKind, str]]

    @model_validator(mode="after")
    def _worded(self) -> Self:
        if self.language not in self.wording:
            raise ValueError(f"wording.{self.language} is missing")
        for language, texts in self.wording.items():
            if missing := self.ladder.kinds - set(texts):
                raise ValueError(f"wording.{language}.{sorted(missing)[0]} is missing")
        return self


@dataclass(frozen=True, eq=False)
class TextingPlace:
    """A location, and how its clinic texts; read once, and the same only as itself."""

    clinic: str
    location: Location
    profile: RemindersProfile
    templates: Mapping[tuple[str, TextKind], Template] = field(repr=False)

    def language(self, locale: str | None) -> str:
        """The language of a person's locale where the clinic writes it, else the clinic's own."""
        wished = (locale or "").partition("-")[0]
        return wished if wished in self.profile.wording else self.profile.language


Places = Mapping[str, TextingPlace]
"""Every location that is served, by its name."""
