"""`booking.toml`: a clinic's chairs, providers, protocols and holds. Clinics differ, so all of this is data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from services.booking.protocol import Protocol, Weekdays
from shared.clinic import WEEKDAYS, Clinic, Location, ProfilePart, clinic_folders, read_clinics, read_profile
from shared.contract import Payer
from shared.settings import Misconfigured


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


class BookingProfile(ProfilePart):
    """`booking.toml`."""

    hold_hours: dict[Payer, Annotated[int, Field(ge=1, le=24 * 60)]]
    locations: dict[str, Room]
    protocols: Annotated[dict[str, Protocol], Field(min_length=1)]

    @model_validator(mode="after")
    def _a_hold_for_each_payer(self) -> Self:
        if missing := set(Payer) - set(self.hold_hours):
            raise ValueError(f"hold_hours.{sorted(missing)[0]} is missing")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """One location with all that a rule needs to know of it."""

    clinic: str
    name: str
    location: Location
    room: Room
    protocols: Mapping[str, Protocol]
    hold: Mapping[Payer, timedelta]


def read_places(folder: Path, clinics: tuple[str, ...] | None) -> dict[str, Place]:
    """Every served location, by its name.

    Raises:
        Misconfigured: with file, key and reason.
    """
    folders = clinic_folders(folder, clinics)
    common: dict[str, Clinic] = read_clinics(folders)
    places: dict[str, Place] = {}
    for clinic, path in folders.items():
        own = read_profile(BookingProfile, path / "booking.toml")
        here, there = set(own.locations), set(common[clinic].locations)
        if odd := sorted(here - there):
            raise Misconfigured(f"{clinic}/booking.toml: locations.{odd[0]}: does not stand in clinic.toml")
        if odd := sorted(there - here):
            raise Misconfigured(f"{clinic}/booking.toml: locations.{odd[0]}: is missing, but stands in clinic.toml")
        hold = {payer: timedelta(hours=hours) for payer, hours in own.hold_hours.items()}
        for name, location in common[clinic].locations.items():
            places[name] = Place(clinic, name, location, own.locations[name], own.protocols, hold)
    return places
