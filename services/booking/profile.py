"""`booking.toml`: a clinic's chairs, providers, protocols and holds. Clinics differ, so all of this is data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.clinic import Clinic, Location, ProfilePart, clinic_folders, read_clinics, read_profile
from shared.contract import Payer
from shared.settings import Misconfigured

Minutes = Annotated[int, Field(ge=0, le=600)]


class Protocol(ProfilePart):
    """How one treatment is given. Gaps are between the starts of neighbouring sessions.

    Source: Stella's and Albany's articles; 24 hours is the smallest gap seen in the field.
    """

    preparation_minutes: Minutes
    treatment_minutes: Annotated[int, Field(ge=1, le=600)]
    recovery_minutes: Minutes
    smallest_gap_hours: Annotated[int, Field(ge=0)]
    largest_gap_hours: Annotated[int, Field(gt=0)]
    window_days: Annotated[int, Field(gt=0, description="first to last session")]
    records: tuple[str, ...] = ()

    @property
    def visit(self) -> timedelta:
        """From arrival until the chair is free again."""
        return timedelta(minutes=self.preparation_minutes + self.treatment_minutes + self.recovery_minutes)

    @model_validator(mode="after")
    def _gaps_in_order(self) -> Self:
        if self.largest_gap_hours < self.smallest_gap_hours:
            raise ValueError("largest_gap_hours must not be smaller than smallest_gap_hours")
        if self.visit > timedelta(days=1):
            raise ValueError("a visit of more than a day is not one session")
        return self


class Room(ProfilePart):
    """What one location has to give: a session takes one chair and one provider, who stays throughout."""

    chairs: Annotated[tuple[str, ...], Field(min_length=1)]
    providers: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, names in (("chair", self.chairs), ("provider", self.providers)):
            if doubles := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{what} {sorted(doubles)[0]!r} stands twice")
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
