"""A clinic's profile: the part that all services read (`clinic.toml`), and how every profile file is read.

One folder a clinic. Locations are unique in a deployment, so a location's name alone tells its clinic.
"""

import tomllib
from collections.abc import Iterable
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import Weekday
from shared.contract.fields import Phone

WEEKDAYS: Final = tuple(Weekday)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a time zone of the IANA database") from None
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]


class ProfilePart(BaseModel):
    """A table of a profile file: an unknown key is a mistake, not something to pass over."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Opening(ProfilePart):
    """Opening hours on one kind of day, wall time; `closes` is when the last patient has left."""

    days: Annotated[tuple[Weekday, ...], Field(min_length=1)]
    opens: time
    closes: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("closes must be later than opens")
        return self


class Location(ProfilePart):
    """A place where patients are treated."""

    zone: ZoneName
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")]
    address: str
    phone: Phone
    public_name: str
    hours: Annotated[tuple[Opening, ...], Field(min_length=1)]
    holidays: tuple[date, ...] = ()

    @property
    def tz(self) -> ZoneInfo:
        """The zone in which this place tells the time."""
        return ZoneInfo(self.zone)

    def local(self, instant: datetime) -> datetime:
        """What the clock on the wall shows at an instant."""
        return instant.astimezone(self.tz)

    def opens_on(self, day: date) -> bool:
        """Whether a day is no holiday and has opening hours."""
        return day not in self.holidays and any(WEEKDAYS[day.weekday()] in opening.days for opening in self.hours)

    def is_open(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether the whole stretch lies in the opening hours of one day that is no holiday."""
        start, end = self.local(starts_at), self.local(ends_at)
        if start.date() != end.date() or start.date() in self.holidays:
            return False
        weekday = WEEKDAYS[start.weekday()]
        return any(
            weekday in opening.days and opening.opens <= start.time() and end.time() <= opening.closes
            for opening in self.hours
        )


class Clinic(ProfilePart):
    """`clinic.toml`."""

    name: str
    locations: Annotated[dict[str, Location], Field(min_length=1)]


P = TypeVar("P", bound=ProfilePart)


def read_profile(model: type[P], file: Path) -> P:
    """One profile file, checked.

    Raises:
        Misconfigured: with the file, the key and the reason.
    """
    shown = f"{file.parent.name}/{file.name}"
    try:
        with file.open("rb") as stream:
            return model.model_validate(tomllib.load(stream))
    except FileNotFoundError:
        raise Misconfigured(f"{shown}: there is no such file in {file.parent.parent}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{shown}: is not TOML: {error}") from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in fault["loc"]) or "(whole file)"
        raise Misconfigured(f"{shown}: {key}: {fault['msg'].removeprefix('Value error, ')}") from None


def clinic_folders(folder: Path, names: Iterable[str] | None) -> dict[str, Path]:
    """The profile folder of each clinic that is served; all that are there where none is named.

    Raises:
        Misconfigured: a named clinic has no folder, or there is none at all.
    """
    wanted = sorted(names) if names is not None else sorted(f.parent.name for f in folder.glob("*/clinic.toml"))
    if not wanted:
        raise Misconfigured(f"CHAIRTIME_PROFILES: no clinic in {folder}")
    for name in wanted:
        if not (folder / name / "clinic.toml").is_file():
            raise Misconfigured(f"CHAIRTIME_CLINICS: there is no clinic {name!r} in {folder}")
    return {name: folder / name for name in wanted}


def read_clinics(folders: dict[str, Path]) -> dict[str, Clinic]:
    """Every served clinic's `clinic.toml`.

    Raises:
        Misconfigured: a file is wrong, or two clinics have a location of the same name.
    """
    clinics = {name: read_profile(Clinic, folder / "clinic.toml") for name, folder in folders.items()}
    seen: dict[str, str] = {}
    for name, clinic in clinics.items():
        for location in clinic.locations:
            if location in seen:
                raise Misconfigured(f"{name}/clinic.toml: locations.{location}: {seen[location]} has it already")
            seen[location] = name
    return clinics
