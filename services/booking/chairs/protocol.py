"""How a treatment is given: how long a visit takes, how many there are, and in which rhythm. Clinic data."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from shared.configuration.clinic import ProfilePart
from shared.contract.closed_sets import Weekday

Minutes = Annotated[int, Field(ge=0, le=600)]
Weekdays = Annotated[tuple[Weekday, ...], Field(min_length=1)]


class VisitPart(StrEnum):
    """The three parts of a visit, in their order."""

    PREPARATION = "preparation"
    TREATMENT = "treatment"
    RECOVERY = "recovery"


class Visit(NamedTuple):
    """How long a patient is on site, and which part of it the provider stays: from `provider_after` the arrival until
    `provider_until` it.
    """

    whole: timedelta
    provider_after: timedelta
    provider_until: timedelta

    def provider_share(self, starts_at: datetime) -> tuple[datetime | None, datetime | None]:
        """When the provider comes and goes, where that is not all of the visit."""
        if self.provider_until - self.provider_after == self.whole:
            return None, None
        return starts_at + self.provider_after, starts_at + self.provider_until


class Gaps(ProfilePart):
    """Hours by the clock on the wall between the starts of neighbouring sessions, so that 24 is the same hour next day.

    `usual_gap_hours` is what a plan aims at; the smallest where it is left out.
    """

    smallest_gap_hours: Annotated[int, Field(ge=0)]
    largest_gap_hours: Annotated[int, Field(gt=0)]
    usual_gap_hours: Annotated[int, Field(gt=0)] | None = None

    @property
    def smallest(self) -> timedelta:
        """The smallest gap."""
        return timedelta(hours=self.smallest_gap_hours)

    @property
    def largest(self) -> timedelta:
        """The largest gap."""
        return timedelta(hours=self.largest_gap_hours)

    @property
    def usual(self) -> timedelta:
        """The gap that a plan aims at."""
        return timedelta(hours=self.usual_gap_hours or self.smallest_gap_hours)

    @model_validator(mode="after")
    def _gaps_in_order(self) -> Self:
        if self.largest_gap_hours < self.smallest_gap_hours:
            raise ValueError("largest_gap_hours must not be smaller than smallest_gap_hours")
        if not self.smallest <= self.usual <= self.largest:
            raise ValueError("usual_gap_hours must lie between the smallest and the largest gap")
        return self


class Phase(Gaps):
    """The first so many sessions of a series, where they have a rhythm of their own."""

    sessions: Annotated[int, Field(ge=1, le=200)]


class Protocol(Gaps):
    """How one treatment is given. Its own gaps are those that come after its phases.

    A request's own minutes and count go before those that stand here (article 003), but for `smallest_visit_minutes`,
    below which nobody may go, and `largest_count`, which is what the treatment is.
    Source: the clinics' articles; 24 hours is the smallest gap seen in the field.
    """

    preparation_minutes: Minutes
    treatment_minutes: Annotated[int, Field(ge=1, le=600)]
    recovery_minutes: Minutes
    smallest_visit_minutes: Minutes = 0
    provider_during: Annotated[tuple[VisitPart, ...], Field(min_length=1)] = tuple(VisitPart)
    window_days: Annotated[int, Field(gt=0, description="first to last session")]
    phases: tuple[Phase, ...] = ()
    count: Annotated[int, Field(ge=1, le=200, description="sessions of a plan that names no number")] = 1
    largest_count: Annotated[int, Field(ge=1, le=200)] | None = None
    weekdays: Weekdays | None = None
    records: tuple[str, ...] = ()
    companion_required: bool = False

    @property
    def visit(self) -> timedelta:
        """From arrival until the chair is free again."""
        return self.visit_of(None).whole

    def visit_of(self, minutes: int | None) -> Visit:
        """The visit of a request, whose own minutes lengthen or shorten the treatment."""
        usual = self.preparation_minutes + self.treatment_minutes + self.recovery_minutes
        whole = max(usual if minutes is None else minutes, self.smallest_visit_minutes)
        after = 0 if VisitPart.PREPARATION in self.provider_during else self.preparation_minutes
        until = whole if VisitPart.RECOVERY in self.provider_during else whole - self.recovery_minutes
        if until <= after:  # too short to be told apart
            after, until = 0, whole
        return Visit(timedelta(minutes=whole), timedelta(minutes=after), timedelta(minutes=until))

    def gaps_before(self, number: int) -> Gaps:
        """The gaps between the session of this number, counted from 1, and the one before it."""
        for phase in self.phases:
            if number <= phase.sessions:
                return phase
            number -= phase.sessions
        return self

    @model_validator(mode="after")
    def _one_visit(self) -> Self:
        if self.visit > timedelta(days=1):
            raise ValueError("a visit of more than a day is not one session")
        if self.largest_count is not None and self.largest_count < self.count:
            raise ValueError("largest_count must not be smaller than count")
        if VisitPart.TREATMENT not in self.provider_during:
            raise ValueError("provider_during must name the treatment")
        return self
