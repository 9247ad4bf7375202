"""The clinics' profiles read as the three services read them, and what each clinic has."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.billing.profile import read_places as read_tariffs
from services.booking.profile import read_places
from services.reminders.profile import read_places as read_wording
from shared.configuration.clinic import clinic_folders
from shared.configuration.settings import Misconfigured, ServiceSettings, read_settings

PROFILES: Final = Path(__file__).parents[1] / "clinics"
READERS: Final[tuple[Callable[[Path, tuple[str, ...] | None], Any], ...]] = (read_places, read_tariffs, read_wording)


@dataclass(frozen=True, slots=True)
class ClinicProfile:
    """What one clinic's profile says, in short.

    Attributes:
        locations: zone by name.
        chairs: in all of its locations together; so are `providers`.
        treatments: those that it gives.
        unpriced: those of them that billing has no price for.
        packages: as a request may name them.
        languages: in which it texts.
    """

    clinic: str
    name: str
    locations: dict[str, str]
    chairs: int
    providers: int
    treatments: list[str]
    unpriced: list[str]
    packages: list[str]
    languages: list[str]
    texts: int


def folder_of_profiles() -> Path:
    """CHAIRTIME_PROFILES, or those that are shipped."""
    return Path(os.environ.get("CHAIRTIME_PROFILES", PROFILES))


def check_profiles(folder: Path | None = None) -> Path:
    """Read every served clinic's profile, all of its files; returns the folder that they are in.

    Raises:
        Misconfigured: what is wrong with the first file that is.
    """
    folder = folder or folder_of_profiles()
    clinics = _served()
    for read in READERS:
        read(folder, clinics)
    return folder


def mistakes_in(folder: Path) -> list[str]:
    """What is wrong with each file that is, a line each; of a file the first mistake alone.

    Raises:
        Misconfigured: there is no clinic at all.
    """
    found: dict[str, None] = {}  # a set in order: a mistake in clinic.toml stops every reader
    for name in clinic_folders(folder, _served()):
        for read in READERS:
            try:
                read(folder, (name,))
            except Misconfigured as mistake:
                found[str(mistake)] = None
    if not found:
        try:
            check_profiles(folder)
        except Misconfigured as mistake:  # two clinics that are each in order
            found[str(mistake)] = None
    return list(found)


def clinics_in(folder: Path) -> list[ClinicProfile]:
    """What each served clinic has, by its name.

    Raises:
        Misconfigured: a file is wrong.
    """
    clinics = _served()
    rooms, tariffs, wording = (read(folder, clinics) for read in READERS)
    shown = []
    for clinic in clinic_folders(folder, clinics):
        here = [name for name, place in rooms.items() if place.clinic == clinic]
        tariff, texts = tariffs[here[0]].tariff, wording[here[0]].profile
        treatments = list(rooms[here[0]].protocols)
        shown.append(
            ClinicProfile(
                clinic=clinic,
                name=tariffs[here[0]].public_name,
                locations={name: rooms[name].location.zone for name in here},
                chairs=sum(len(rooms[name].room.chairs) for name in here),
                providers=sum(len(rooms[name].room.providers) for name in here),
                treatments=treatments,
                unpriced=[name for name in treatments if name not in tariff.treatments],
                packages=[package for treatment in tariff.treatments.values() for package in treatment.packages],
                languages=list(texts.wording),
                texts=len(texts.ladder.kinds),
            )
        )
    return shown


def _served() -> tuple[str, ...] | None:
    return read_settings(ServiceSettings, kafka="", production=False).clinics
