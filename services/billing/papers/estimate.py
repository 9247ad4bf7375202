"""The good-faith estimate for who pays themselves: one for the whole course, a new version after each change. Pure.

Source: 45 CFR 149.610(c)(1), and (b)(1)(x) for a course of recurring sessions.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from services.billing.account.account import Account
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation
from services.billing.papers.codes import Missing, expected
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
    title_of,
)
from shared.contract.clinic import PatientUpdated
from shared.contract.closed_sets import SessionState

TO_COME: Final = frozenset({SessionState.HELD, SessionState.CONFIRMED, SessionState.CHECKED_IN})
COUNTED: Final = TO_COME | {SessionState.COMPLETED}
"""Sessions that were given or are to be given: what the course is expected to cost."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a course is expected to cost.

    Attributes:
        charges: in order of their dates, by who gives the session.
        later: what is planned and will be scheduled by itself.
        insurer_cents: what an insurer may give back; nothing is deducted.
    """

    person: Person
    diagnoses: tuple[str, ...]
    practice: Practice
    title: str
    sessions: int
    first_on: date
    last_on: date
    charges: tuple[tuple[Clinician, tuple[Charge, ...]], ...]
    total_cents: int
    later: tuple[str, ...]
    insurer_percent: int
    insurer_cents: int


def counted(account: Account) -> list[Share]:
    """The sessions that an estimate lists, in order of their dates."""
    return sorted((s for s in account.shares if s.state in COUNTED), key=lambda s: (s.starts_at, s.number))


def next_session(account: Account, now: datetime) -> Share | None:
    """The first session that is still to come."""
    return next((s for s in counted(account) if s.state in TO_COME and s.starts_at > now), None)


def estimate(account: Account, place: PracticeLocation, patient: PatientUpdated | None) -> Estimate | Missing:
    """The estimate by what is known now, or what is missing for it."""
    if patient is None:
        return Missing("the patient's name and date of birth")
    sessions = counted(account)
    by_clinician: dict[Clinician, list[Charge]] = {}
    for share in sessions:
        clinician = clinician_of(place, share.provider)
        if clinician is None:
            return Missing("the provider's name and NPI in the clinic's profile")
        by_clinician.setdefault(clinician, []).extend(_charges(account, place, share, share is sessions[0]))
    days = [place.location.local(share.starts_at).date() for share in sessions]
    description, person = account.agreed_terms.treatment.papers, person_of(patient)
    percent, cents = insurer_may_give(account, person, (c for charges in by_clinician.values() for c in charges))
    return Estimate(
        person=person,
        diagnoses=patient.diagnoses or (),
        practice=practice_at(place),
        title=title_of(account),
        sessions=len(sessions),
        first_on=days[0],
        last_on=days[-1],
        charges=tuple((clinician, tuple(charges)) for clinician, charges in by_clinician.items()),
        total_cents=sum(share.price_cents for share in sessions),
        later=description.later if description else (),
        insurer_percent=percent,
        insurer_cents=cents,
    )


def _charges(account: Account, place: PracticeLocation, share: Share, first: bool) -> tuple[Charge, ...]:
    description = account.agreed_terms.treatment.papers
    services = expected(description, first) if description else ()
    return charges_of(account, share, services, place.location.local(share.starts_at).date())
