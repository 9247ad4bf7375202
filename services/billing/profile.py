"""`billing.toml`: what a clinic charges, until when, and what becomes of the money of a missed session."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.clinic import ProfilePart, clinic_folders, read_clinics, read_profile
from shared.contract import Cents, Count, Name, PositiveCents

Hours = Annotated[int, Field(strict=True, ge=0, le=24 * 90)]


class Approval(StrEnum):
    """Whether an insurer can be asked to cover a treatment; off-label ones are paid in full beforehand."""

    OFF_LABEL = "off_label"


class MissedPolicy(StrEnum):
    """What becomes of the share of a session that the patient missed."""

    KEEP = "keep"
    """The clinic keeps it as a fee; to come after all, it is paid again."""
    RETURN = "return"
    """It goes back to the course's balance."""


class Package(ProfilePart):
    """A price for a fixed number of sessions together."""

    price_cents: PositiveCents
    sessions: Count


class Treatment(ProfilePart):
    """What one treatment costs, by the session, in packages, or both."""

    approval: Approval
    session_cents: Cents | None = None
    packages: dict[Name, Package] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if self.session_cents is None and not self.packages:
            raise ValueError("needs session_cents or a package")
        return self


class Due(ProfilePart):
    """When a session must be paid: so long before its start, but so long after acceptance at the earliest."""

    lead_hours: Hours
    grace_hours: Hours


class Policy(ProfilePart):
    """What the clinic does with money of sessions that did not take place."""

    missed: MissedPolicy


class Tariff(ProfilePart):
    """`billing.toml`."""

    due: Due
    policy: Policy
    treatments: Annotated[dict[Name, Treatment], Field(min_length=1)]


def read_tariffs(folder: Path, clinics: tuple[str, ...] | None) -> dict[str, Tariff]:
    """The tariff that holds at each served location, by the location's name.

    Raises:
        Misconfigured: with file, key and reason.
    """
    folders = clinic_folders(folder, clinics)
    return {
        location: tariff
        for name, clinic in read_clinics(folders).items()
        for tariff in (read_profile(Tariff, folders[name] / "billing.toml"),)
        for location in clinic.locations
    }
