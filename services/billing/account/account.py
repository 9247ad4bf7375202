"""What billing knows of one course: its sessions' shares, its money, its refunds. Pure values that never change.

How they become others stands in `rules.draft`, why in the other rooms of `rules`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.billing.account.ledger import Entry
from services.billing.account.records import Authorization, FreeVisit, Given, Payment, Refund, Reversal, Waiver
from services.billing.account.share import Share
from services.billing.account.terms import Terms
from shared.contract.closed_sets import Payer
from shared.decision.value import changed_often


class Stage(StrEnum):
    """How far a course is known. `unknown`: something about it came, the course itself did not yet."""

    UNKNOWN = "unknown"
    REJECTED = "rejected"
    UNPRICED = "unpriced"
    PRICED = "priced"


@changed_often
class Account(NamedTuple):
    """One course as billing knows it; shares in order of their number, payments as they were heard.

    Attributes:
        terms: prices, deadlines and policy as they were when the course was accepted.
        plan: the insurance plan, as the request names it.
        planned_until: the last planned start: of the request, or of a course that could not be priced.
        rejected_at: when the last rejection was heard.
        refund_at: when the balance is refunded, if no session has used it by then; there is a timer.
        disputed_cents: money that left by itself while it rested at sessions, and that nothing has offset yet.
        authorizations: what insurers decided, as it was heard.
        unposted, given, waivers, free_visits: what is decided and not yet written down; it is only ever added.
        touched: ids of the shares, payments, refunds and reversals that differ from what is written down.
    """

    course_id: UUID
    stage: Stage = Stage.UNKNOWN
    patient_id: str | None = None
    location: str | None = None
    treatment: str | None = None
    package: str | None = None
    payer: Payer | None = None
    plan: str | None = None
    terms: Terms | None = None
    planned_until: datetime | None = None
    rejected_at: datetime | None = None
    refund_at: datetime | None = None
    balance_cents: int = 0
    disputed_cents: int = 0
    shares: tuple[Share, ...] = ()
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    reversals: tuple[Reversal, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    unposted: tuple[Entry, ...] = ()
    given: tuple[Given, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    free_visits: tuple[FreeVisit, ...] = ()
    touched: frozenset[UUID | str] = frozenset()

    def share(self, session_id: UUID) -> Share | None:
        """The share of this session."""
        index = self.index_of(session_id)
        return None if index is None else self.shares[index]

    def index_of(self, session_id: UUID) -> int | None:
        """Where the share of this session stands in `shares`; numbers are compared faster than ids."""
        wanted = session_id.int
        for index, share in enumerate(self.shares):
            if share.session_id.int == wanted:
                return index
        return None

    def payment(self, payment_id: str) -> Payment | None:
        """The payment of this id, where it came for this course."""
        return next((p for p in self.payments if p.payment_id == payment_id), None)

    @property
    def agreed_terms(self) -> Terms:
        """The terms of a course that has a price: there are some."""
        assert self.terms is not None
        return self.terms

    @property
    def insured(self) -> bool:
        """Whether an insurer's authorization must cover its sessions."""
        return self.payer is Payer.INSURANCE and self.terms is not None and self.terms.insured(self.payer)

    @property
    def funded_at(self) -> datetime | None:
        """When the last money or authorization was heard of."""
        heard = [payment.heard_at for payment in self.payments]
        if self.authorizations:
            heard += [one.heard_at for one in self.authorizations]
        return max(heard, default=None)


class Known(NamedTuple):
    """What a batch knows beyond its courses.

    Attributes:
        payments: of any course by their id: those that the batch names.
        visited: (clinic, patient, treatment) of patients who have had, or will have, their free first visit.
    """

    payments: Mapping[str, Payment]
    visited: frozenset[tuple[str, str, str]] = frozenset()
