"""What papers have in common: who treats whom, where, and what is charged. Pure values."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from services.billing.account.account import Account
from services.billing.account.pricing import insurer_cents, integration_cents
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation
from services.billing.papers.codes import ServiceLine
from shared.contract.clinic import PatientUpdated

INTEGRATION: Final = "Integration therapy (talk therapy, not an infusion)"


@dataclass(frozen=True, slots=True)
class Practice:
    """The clinic at one of its locations. `npi` and `ein` are the practice's own; `state` is where it treats."""

    name: str
    place: str
    address: str
    phone: str
    state: str
    npi: str
    ein: str


@dataclass(frozen=True, slots=True)
class Clinician:
    """Who treats."""

    name: str
    credentials: str
    npi: str


@dataclass(frozen=True, slots=True)
class Person:
    """The patient, as papers name them. `no_claims`: a health plan must not learn of it.

    Source: 45 CFR 164.522(a)(1)(vi), for who pays in full and has asked for it.
    """

    name: str
    born_on: date
    address: str | None
    no_claims: bool


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a paper: a service with its code, or a part of the price that has none."""

    on: date
    words: str
    code: str
    modifiers: tuple[str, ...]
    units: int
    cents: int


def practice_at(place: PracticeLocation) -> Practice:
    """The clinic by its profile of today."""
    return Practice(
        name=place.public_name,
        place=place.location.public_name,
        address=place.location.address,
        phone=place.location.phone,
        state=place.location.region.removeprefix("US-"),
        npi=place.tariff.practice.npi,
        ein=place.tariff.practice.ein,
    )


def clinician_of(place: PracticeLocation, provider: str | None) -> Clinician | None:
    """Booking's provider, where the clinic's profile has them."""
    known = place.tariff.providers.get(provider or "")
    return Clinician(known.name, known.credentials, known.npi) if known is not None else None


def person_of(patient: PatientUpdated) -> Person:
    """A patient by the clinic's records."""
    return Person(patient.name, patient.born_on, patient.address, bool(patient.no_claims))


def title_of(account: Account) -> str:
    """The treatment in words that a patient understands."""
    description = account.agreed_terms.treatment.papers
    return description.title if description else (account.treatment or "").replace("_", " ").capitalize()


def charges_of(account: Account, share: Share, services: Iterable[ServiceLine], on: date) -> tuple[Charge, ...]:
    """A session's price, line by line: the first service bears it, the others are part of it.

    Integration therapy is never a part of the treatment: it has a line of its own, without a code.
    """
    integration = integration_cents(account.agreed_terms, account.package, share.number)
    price = share.price_cents - integration
    lines = [Charge(on, s.words, s.code, s.modifiers, s.units, 0) for s in services]
    first = lines[0] if lines else Charge(on, title_of(account), "", (), 1, 0)
    own = (replace(first, cents=price), *lines[1:])
    return (*own, Charge(on, INTEGRATION, "", (), 1, integration)) if integration else own


def insurer_may_give(account: Account, person: Person, charges: Iterable[Charge]) -> tuple[int, int]:
    """Per cent and cents that an insurer may give back of what has a code; nothing where it shall not be told."""
    terms = account.agreed_terms
    if person.no_claims:
        return 0, 0
    coded = (charge.cents for charge in charges if charge.code)
    return terms.treatment.insurer_percent, sum(insurer_cents(terms, cents) for cents in coded)
