"""The chair plan of a location: its chairs, its providers and their shifts, and its protocols. Clinic data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from services.booking.chairs.protocol import Protocol, Weekdays
from shared.configuration.clinic import WEEKDAYS, Location, ProfilePart
from shared.contract.closed_sets import Payer


class Shift(ProfilePart):
    """When one provider is there, wall time; two on one day leave a break between them."""

    days: Weekdays
    begins: time
    ends: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ends <= self.begins:
            raise ValueError("ends must be later than begins")
        return self


class Room(ProfilePart):
    """What one location has to give. A provider of whom no shift is named is there whenever it is open."""

    chairs: Annotated[tuple[str, ...], Field(min_length=1)]
    providers: Annotated[tuple[str, ...], Field(min_length=1)]
    shifts: dict[str, Annotated[tuple[Shift, ...], Field(min_length=1)]] = Field(default_factory=dict)

    def on_duty(self, provider: str, begins: datetime, ends: datetime) -> bool:
        """Whether a provider is there for a whole stretch of one day, wall time."""
        shifts = self.shifts.get(provider)
        return shifts is None or any(
            WEEKDAYS[begins.weekday()] in shift.days and shift.begins <= begins.time() and ends.time() <= shift.ends
            for shift in shifts
        )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, names in (("chair", self.chairs), ("provider", self.providers)):
            if doubles := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{what} {sorted(doubles)[0]!r} stands twice")
        if strangers := set(self.shifts) - set(self.providers):
            raise ValueError(f"shifts.{sorted(strangers)[0]}: is none of the providers")
        return self


@dataclass(frozen=True, slots=True)
class ChairPlan:
    """One location with all that a rule needs to know of it: its hours, its chairs and providers, its protocols."""

    clinic: str
    name: str
    location: Location
    room: Room
    protocols: Mapping[str, Protocol]
    hold: Mapping[Payer, timedelta]


ChairPlans = Mapping[str, ChairPlan]
"""Every served location, by its name."""
