"""The superbill: what a patient hands to an insurer, for one date of service. Pure."""

from dataclasses import dataclass
from datetime import date, time
from typing import Final

from services.billing.account.account import Account
from services.billing.account.records import Given
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation
from services.billing.papers.codes import Missing, given
from services.billing.papers.parts import (
    Charge,
    Clinician,
    Person,
    Practice,
    charges_of,
    clinician_of,
    insurer_may_give,
    person_of,
    practice_at,
)
from shared.contract.clinic import PatientUpdated
from shared.contract.closed_sets import Basis

PLACES_OF_SERVICE: Final = {"02": "telehealth", "11": "office"}
"""Source: CMS, place of service codes for professional claims."""


@dataclass(frozen=True, slots=True)
class Superbill:
    """One date of service, with all that a claim asks for.

    Attributes:
        started, ended: of the treatment itself, on the clinic's clock.
        waived_cents: what the clinic has waived of the charges.
        insurer_cents: what an insurer may give back of what was paid.
    """

    person: Person
    member_id: str | None
    diagnoses: tuple[str, ...]
    practice: Practice
    clinician: Clinician
    on: date
    place_of_service: str
    started: time
    ended: time
    charges: tuple[Charge, ...]
    charged_cents: int
    paid_cents: int
    waived_cents: int
    insurer_percent: int
    insurer_cents: int


def superbill(
    account: Account, share: Share, done: Given, first: bool, place: PracticeLocation, patient: PatientUpdated | None
) -> Superbill | Missing:
    """The superbill of a session that was given and paid for or waived, or what is missing for it.

    Args:
        done: by whom and when the treatment was given.
        first: whether it was the first that was given of its course.
    """
    description, clinician = account.agreed_terms.treatment.papers, clinician_of(place, done.provider)
    if description is None or not (description.codes or description.infusion):
        return Missing("the treatment's codes in the clinic's profile")
    if clinician is None:
        return Missing("the provider's name and NPI in the clinic's profile")
    if patient is None:
        return Missing("the patient's name and date of birth")
    if not patient.diagnoses:
        return Missing("the patient's diagnosis codes")
    minutes = int((done.ended_at - done.started_at).total_seconds()) // 60
    services = given(description, first, minutes, done.services or ())
    if isinstance(services, Missing):
        return services
    started, ended = place.location.local(done.started_at), place.location.local(done.ended_at)
    charges, person = charges_of(account, share, services, started.date()), person_of(patient)
    waived = share.price_cents if share.basis is Basis.WAIVED else 0
    percent, cents = (0, 0) if waived else insurer_may_give(account, person, charges)
    return Superbill(
        person=person,
        member_id=patient.member_id,
        diagnoses=patient.diagnoses,
        practice=practice_at(place),
        clinician=clinician,
        on=started.date(),
        place_of_service=description.place_of_service or place.tariff.practice.place_of_service,
        started=started.time(),
        ended=ended.time(),
        charges=charges,
        charged_cents=share.price_cents,
        paid_cents=share.price_cents - waived,
        waived_cents=waived,
        insurer_percent=percent,
        insurer_cents=cents,
    )
