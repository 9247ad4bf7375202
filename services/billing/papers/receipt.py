"""The receipt for a health account: what was paid for one date of service; the money counts on that day. Pure."""

from dataclasses import dataclass
from datetime import date

from services.billing.account.account import Account
from services.billing.account.records import Given
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation
from services.billing.papers.codes import Missing
from services.billing.papers.parts import (
    Charge,
    Clinician,
    Person,
    Practice,
    charges_of,
    clinician_of,
    person_of,
    practice_at,
    title_of,
)
from shared.contract.clinic import PatientUpdated
from shared.contract.closed_sets import Method


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was paid for one date of service. `methods`: how the course's money came in; no payment is one session's."""

    person: Person
    practice: Practice
    clinician: Clinician
    title: str
    on: date
    charges: tuple[Charge, ...]
    paid_cents: int
    methods: tuple[Method, ...]


def receipt(
    account: Account, share: Share, done: Given, place: PracticeLocation, patient: PatientUpdated | None
) -> Receipt | Missing:
    """The receipt of a session that was given and paid, or what is missing for it."""
    clinician = clinician_of(place, done.provider)
    if clinician is None:
        return Missing("the provider's name and NPI in the clinic's profile")
    if patient is None:
        return Missing("the patient's name and date of birth")
    on = place.location.local(done.started_at).date()
    return Receipt(
        person=person_of(patient),
        practice=practice_at(place),
        clinician=clinician,
        title=title_of(account),
        on=on,
        charges=charges_of(account, share, (), on),
        paid_cents=share.price_cents,
        methods=tuple(sorted({p.method for p in account.payments if p.left_cents})),
    )
