"""What billing keeps besides a course's money: people as papers name them, and the papers of a course. Pure values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.billing.account.account import Account
from services.billing.account.records import Given
from shared.contract.clinic import PatientUpdated


class Kind(StrEnum):
    """What a paper is. An estimate is named by its course, the others by their session."""

    ESTIMATE = "estimate"
    SUPERBILL = "superbill"
    RECEIPT = "receipt"


class Issued(NamedTuple):
    """The newest version of a paper. `digest`: of what it tells; None when its person was erased."""

    kind: Kind
    paper_id: UUID
    version: int
    digest: str | None


class Paper(NamedTuple):
    """A paper as the patient gets it; it never changes."""

    kind: Kind
    paper_id: UUID
    version: int
    course_id: UUID
    patient_id: str
    issued_at: datetime
    digest: str
    html: str


class Folder(NamedTuple):
    """A course's papers, and what they are made of; looked at only when something has changed that they tell.

    Attributes:
        account: as it stands; None where nothing is known of the course.
        given: the treatments that were given, in order of their start.
        patient: what papers name them by; None where we do not know, or no longer.
        issued: the newest version of each paper.
        fresh: what is decided and not yet written down.
    """

    course_id: UUID
    account: Account | None = None
    given: tuple[Given, ...] = ()
    patient: PatientUpdated | None = None
    issued: tuple[Issued, ...] = ()
    fresh: tuple[Paper, ...] = ()

    def newest(self, kind: Kind, paper_id: UUID) -> Issued | None:
        """The newest version of a paper, also of one that is not written down yet."""
        return next((i for i in self.issued if (i.kind, i.paper_id) == (kind, paper_id)), None)


@dataclass(frozen=True, slots=True)
class Patient:
    """A person as papers name them; no `details`: forgotten. `heard_at`: when that reached us."""

    patient_id: str
    details: PatientUpdated | None
    heard_at: datetime


State = Account | Patient | Folder
"""What the rules keep: of a course's money, of a person, or of a course's papers."""
