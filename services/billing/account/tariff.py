"""What a clinic's profile tells billing: prices, packages, deadlines, cancellation policy, who treats and who bills.

How the profile is read from its file stands in `services.billing.profile`; what a course costs in `pricing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.configuration.clinic import Location, ProfilePart
from shared.contract.fields import Cents, Count, Name, PositiveCents

Hours = Annotated[int, Field(strict=True, ge=0, le=24 * 90)]

NPI_PREFIX: Final = "80840"
"""The issuer that the check digit of a National Provider Identifier counts with (ISO 7812, health, USA)."""


def _checked_npi(npi: str) -> str:
    digits = [int(digit) for digit in reversed(NPI_PREFIX + npi)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    if (sum(digits[0::2]) + sum(doubled)) % 10:
        raise ValueError("is no NPI: its check digit is wrong")
    return npi


Npi = Annotated[str, StringConstraints(pattern=r"^[12][0-9]{9}$"), AfterValidator(_checked_npi)]
"""A National Provider Identifier: ten digits, the last one a check digit."""

PlaceOfService = Literal["02", "11"]
"""Telehealth, or an office. Source: CMS, place of service codes for professional claims."""


class Approval(StrEnum):
    """Whether an insurer can be asked to cover a treatment beforehand."""

    OFF_LABEL = "off_label"
    """Paid in full before it is given, whoever pays; an insurer gives back a part at best, and on papers only."""
    APPROVED = "approved"
    """An insured patient needs the insurer's authorization, and pays the copay."""
    NONE = "none"
    """Nothing to approve, as in a consultation; paid like off-label."""


class Package(ProfilePart):
    """A price for a fixed number of sessions together.

    `integration_cents` is the part of it that integration therapy costs: a line of its own, never an infusion.
    """

    price_cents: PositiveCents
    sessions: Count
    integration_cents: Cents = 0

    @model_validator(mode="after")
    def _is_not_integration_alone(self) -> Self:
        if self.integration_cents >= self.price_cents:
            raise ValueError("integration_cents must be less than price_cents")
        return self


class ServiceDescription(ProfilePart):
    """How a paper describes a session and codes it (CPT or HCPCS).

    Attributes:
        codes: of each session, one unit each.
        first_codes: of the course's first session, in place of `codes`.
        infusion: it is coded by start and stop of the infusion, before `codes`.
        place_of_service: where it is another than the practice's.
        later: what is planned besides and scheduled separately; stands on estimates.
    """

    title: Name
    codes: tuple[Name, ...] = ()
    first_codes: tuple[Name, ...] | None = None
    infusion: bool = False
    place_of_service: PlaceOfService | None = None
    later: tuple[Name, ...] = ()


class Treatment(ProfilePart):
    """What one treatment costs, by the session, in packages, or as an insured patient's copay.

    Attributes:
        copay_cents: of an approved one, where the authorization names none.
        first_free: a patient's first at this clinic costs nothing.
        insurer_percent: what an insurer may give back of the price; stands on papers only.
    """

    approval: Approval
    session_cents: Cents | None = None
    copay_cents: Cents | None = None
    first_free: bool = False
    insurer_percent: Annotated[int, Field(strict=True, ge=0, le=50)] = 0
    packages: dict[Name, Package] = Field(default_factory=dict)
    papers: ServiceDescription | None = None

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        approved = self.approval is Approval.APPROVED
        if self.copay_cents is not None and not approved:
            raise ValueError("copay_cents is for approved treatments: others are paid in full")
        if self.insurer_percent and approved:
            raise ValueError("insurer_percent is for what no authorization covers")
        if self.session_cents is None and not self.packages and self.copay_cents is None:
            raise ValueError("needs session_cents or a package, or copay_cents where it is approved")
        if self.first_free and self.session_cents is None:
            raise ValueError("first_free needs session_cents, the price of those after the first")
        return self


class Plan(ProfilePart):
    """An insurance plan of which something is known. Names are compared by their letters and digits, in any case."""

    names: Annotated[tuple[Name, ...], Field(min_length=1)]
    not_covered: tuple[Name, ...] = ()
    no_show_fees: bool = True

    def is_called(self, name: str) -> bool:
        """Whether a request means this plan."""
        return any(_letters(name) == _letters(own) for own in self.names)


def _letters(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


class DueRule(ProfilePart):
    """When a session must be paid: so long before its start, but so long after acceptance at the earliest."""

    lead_hours: Hours
    grace_hours: Hours


class MissedPolicy(StrEnum):
    """What becomes of the share of a session that the patient missed."""

    KEEP = "keep"
    """The clinic keeps it as a fee; to come after all, it is paid again."""
    RETURN = "return"
    """It goes back to the course's balance."""


class Counted(StrEnum):
    """Which hours a cancellation's notice is counted in."""

    CLOCK = "clock"
    BUSINESS = "business"
    """Those in which the location is open."""


class Late(ProfilePart):
    """A patient who cancels with less notice than this pays the fee, at most what was paid for the session."""

    within_hours: Annotated[int, Field(strict=True, ge=1, le=24 * 90)]
    fee_cents: PositiveCents


class Policy(ProfilePart):
    """What the clinic does with money of sessions that did not take place. Its own fault is always returned whole.

    Attributes:
        missed_fee_cents: of a missed session whose share is returned.
        late: fees for short notice; the shorter the notice, the higher.
    """

    missed: MissedPolicy
    missed_fee_cents: Cents = 0
    hours: Counted = Counted.CLOCK
    late: tuple[Late, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.missed is MissedPolicy.KEEP and self.missed_fee_cents:
            raise ValueError("missed_fee_cents is for missed sessions whose share is returned")
        tiers = sorted(self.late, key=lambda tier: tier.within_hours)
        for nearer, farther in pairwise(tiers):
            if nearer.within_hours == farther.within_hours or nearer.fee_cents < farther.fee_cents:
                raise ValueError("late: each notice stands once, and a shorter one never costs less")
        return self


class Practice(ProfilePart):
    """The clinic as papers name it. `place_of_service`: 11 an office, 02 telehealth."""

    npi: Npi
    ein: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[0-9]{7}$")]
    place_of_service: PlaceOfService = "11"


class Provider(ProfilePart):
    """Somebody who gives treatments, as papers name them."""

    name: Name
    credentials: Name
    npi: Npi


class Tariff(ProfilePart):
    """`billing.toml`. `providers` by the names that booking gives them."""

    practice: Practice
    providers: Annotated[dict[Name, Provider], Field(min_length=1)]
    due: DueRule
    policy: Policy
    treatments: Annotated[dict[Name, Treatment], Field(min_length=1)]
    plans: tuple[Plan, ...] = ()

    @model_validator(mode="after")
    def _plans_name_treatments(self) -> Self:
        for plan in self.plans:
            if odd := sorted(set(plan.not_covered) - set(self.treatments)):
                raise ValueError(f"plans: {plan.names[0]}: not_covered: there is no treatment {odd[0]!r}")
        return self

    def plan(self, name: str | None) -> Plan | None:
        """What is known of a plan that a request names."""
        return next((plan for plan in self.plans if plan.is_called(name)), None) if name is not None else None


@dataclass(frozen=True, slots=True, eq=False)
class PracticeLocation:
    """One location of a clinic, with the clinic's tariff. `public_name`: the clinic's own."""

    clinic: str
    name: str
    public_name: str
    location: Location
    tariff: Tariff


PracticeLocations = Mapping[str, PracticeLocation]
"""Every served location, by its name."""
