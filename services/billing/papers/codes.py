"""Which CPT and HCPCS codes a session is billed with. Pure.

The words beside a code are our own; those of the code sets belong to their publishers. Where a code's rule comes from
stands beside the rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.billing.account.tariff import ServiceDescription
from shared.contract.clinic import Service


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One billed service: its code, how often, and what that is in plain words."""

    code: str
    units: int
    modifiers: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a paper cannot be made yet, in words without personal data."""

    what: str


WORDS: Final = {
    "64510": "Nerve block at the neck (stellate ganglion)",
    "90867": "Magnetic stimulation of the brain, planning and first session",
    "90868": "Magnetic stimulation of the brain, further session",
    "96365": "Infusion into a vein, first hour",
    "96366": "Infusion into a vein, each further hour",
    "96374": "Injection into a vein, 15 minutes or less",
    "G2082": "Esketamine nasal spray, up to 56 mg, with observation",
    "G2083": "Esketamine nasal spray, more than 56 mg, with observation",
    "J3490": "Drug without a code of its own",
}

BY_TIME: Final = frozenset({"96365", "96366", "96374"})
"""Start and stop of an infusion decide which. Source: CPT, therapeutic infusions and injections, 96365 to 96379."""

INJECTION: Final = 15
"""An infusion of so many minutes at most is coded as an injection. Source: as `BY_TIME`."""

HOUR: Final = 60
HALF: Final = 30
"""A further hour is coded when more than so many minutes of it have run. Source: as `BY_TIME`, at 96366."""

LONGEST: Final = 600
"""Minutes beyond which start and stop of an infusion cannot both be right. The limit is ours."""

BY_DOSE: Final = frozenset({"G2082", "G2083"})
"""Codes of which the dose decides: up to 56 mg of esketamine, or more. Source: CMS, HCPCS, since January 1, 2020."""


def service(code: str, units: int = 1, modifiers: Iterable[str] = ()) -> ServiceLine:
    """A service by its code, in our words where we have some."""
    return ServiceLine(code, units, tuple(modifiers), WORDS.get(code, "Further service"))


def infusion(minutes: int) -> tuple[ServiceLine, ...]:
    """An infusion of so many whole minutes.

    The first hour reaches until more than half of a second one has run.
    """
    if minutes <= INJECTION:
        return (service("96374"),)
    further = (minutes - HALF - 1) // HOUR
    return (service("96365"), service("96366", further)) if further > 0 else (service("96365"),)


def expected(description: ServiceDescription, first: bool) -> tuple[ServiceLine, ...]:
    """What a session will be billed with when all goes as planned: an infusion is coded with its first hour alone.

    Args:
        first: whether it is the first that is given of its course.
    """
    own = description.first_codes if first and description.first_codes else description.codes
    return (*((service("96365"),) if description.infusion else ()), *map(service, own))


def given(
    description: ServiceDescription, first: bool, minutes: int, reported: Sequence[Service]
) -> tuple[ServiceLine, ...] | Missing:
    """What a session that was given is billed with.

    Args:
        first: whether it was the first that was given of its course.
        minutes: whole ones, from start to stop of the treatment itself.
        reported: the services that the floor has named: they add to ours, and give the units and modifiers of a code
            that is ours, too. But of an infusion start and stop alone decide, and a dose is only what the floor says.
    """
    named = {s.code: service(s.code, s.units, s.modifiers or ()) for s in reported}
    own = {line.code: line for line in expected(description, first)}
    if description.infusion:
        if not 1 <= minutes <= LONGEST:
            return Missing("start and stop of the infusion")
        timed = {line.code: line for line in infusion(minutes)}
        if any(code not in timed or timed[code].units != named[code].units for code in BY_TIME & named.keys()):
            return Missing("services that agree with start and stop of the infusion")
        own = timed | {code: line for code, line in own.items() if code not in BY_TIME}
    if BY_DOSE & own.keys():
        if len(BY_DOSE & named.keys()) != 1:
            return Missing("the dose: one of the codes G2082 and G2083 among the services")
        (dose,) = BY_DOSE & named.keys()
        own = {dose: named[dose]} | {code: line for code, line in own.items() if code not in BY_DOSE}
    return tuple((own | named).values())
