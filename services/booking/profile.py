"""`booking.toml`: a clinic's chairs, providers, protocols and holds. Clinics differ, so all of this is data."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from services.booking.chairs.location import ChairPlan, Room
from services.booking.chairs.protocol import Protocol
from shared.configuration.clinic import Clinic, ProfilePart, clinic_folders, read_clinics, read_profile
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import Payer


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


def read_places(folder: Path, clinics: tuple[str, ...] | None) -> dict[str, ChairPlan]:
    """Every served location, by its name.

    Raises:
        Misconfigured: with file, key and reason.
    """
    folders = clinic_folders(folder, clinics)
    common: dict[str, Clinic] = read_clinics(folders)
    places: dict[str, ChairPlan] = {}
    for clinic, path in folders.items():
        own = read_profile(BookingProfile, path / "booking.toml")
        here, there = set(own.locations), set(common[clinic].locations)
        if odd := sorted(here - there):
            raise Misconfigured(f"{clinic}/booking.toml: locations.{odd[0]}: does not stand in clinic.toml")
        if odd := sorted(there - here):
            raise Misconfigured(f"{clinic}/booking.toml: locations.{odd[0]}: is missing, but stands in clinic.toml")
        hold = {payer: timedelta(hours=hours) for payer, hours in own.hold_hours.items()}
        for name, location in common[clinic].locations.items():
            places[name] = ChairPlan(clinic, name, location, own.locations[name], own.protocols, hold)
    return places
