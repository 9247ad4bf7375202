"""What billing knows of one course: its sessions' shares, its money, its refunds. Pure values that never change.

How they become others stands in `draft`, why in `bookings`, `payments`, `settlement` and `rules`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from services.billing.ledger import Entry
from services.billing.records import Authorization, FreeVisit, Given, Payment, Refund, Reversal, Waiver
from services.billing.terms import Terms
from shared.contract import (
    Basis,
    By,
    Payer,
    ReleaseReason,
    SessionState,
    WithdrawalReason,
)
from shared.value import changed_often

S = SessionState

RETRIABLE: Final = frozenset({ReleaseReason.HOLD_EXPIRED, ReleaseReason.OVERDUE})
"""Released for want of money: when it comes late, booking is asked for the same place again."""


class Stage(StrEnum):
    """How far a course is known. `unknown`: something about it came, the course itself did not yet."""

    UNKNOWN = "unknown"
    REJECTED = "rejected"
    UNPRICED = "unpriced"
    PRICED = "priced"


@changed_often
class Share(NamedTuple):
    """One session and the part of the course's price that it needs.

    Attributes:
        asked_at: when the session was accepted; its grace counts from here.
        state: booking's last word; `release` is why, where that is `released`.
        basis: what satisfies it; None while it waits, and again when its money went back.
        prepaid_cents: money that rests here, not yet earned.
        granted: grants given; the last may be unanswered.
        answered: the last grant that booking has answered.
        foretold: the last grant that booking has answered and of which billing knows nothing: what pays for it comes
            later than its answer, or again, where billing's database was set back.
        overdue: told once, when `due_at` had passed.
        refunded_cents: of a session that will not take place, how much of its price was already promised back.
        provider: who gives it, as booking told last.
        insured: an authorization must cover it, and `price_cents` is the copay.
        cover: the reference of the authorization that covers it.
        withdrawal: why what satisfies it shall be taken back; booking is asked when it has answered the grant.
        withdrawn: the last grant that booking was asked to give back.
        refunding_cents: how much of its money goes to the patient when booking has given it back.
        cancelled_by: whose wish it was, where it is cancelled.
        fee_cents: what the clinic keeps of its money, by the policy, for coming not or saying so late.
    """

    session_id: UUID
    number: int
    starts_at: datetime
    version: int
    price_cents: int
    asked_at: datetime
    due_at: datetime
    state: SessionState = S.HELD
    release: ReleaseReason | None = None
    basis: Basis | None = None
    prepaid_cents: int = 0
    granted: int = 0
    answered: int = 0
    overdue: bool = False
    refunded_cents: int = 0
    provider: str | None = None
    insured: bool = False
    cover: str | None = None
    withdrawal: WithdrawalReason | None = None
    withdrawn: int = 0
    refunding_cents: int = 0
    cancelled_by: By | None = None
    fee_cents: int = 0
    foretold: int = 0

    @property
    def asked_back(self) -> bool:
        """Whether booking owes the answer to a withdrawal."""
        return self.withdrawal is not None and self.withdrawn == self.granted

    @property
    def may_be_asked_back(self) -> bool:
        """Whether its grant can still come back: not asked for yet, not begun, and not refused before."""
        still_ahead = self.state in (S.HELD, S.CONFIRMED, S.RELEASED)
        return self.basis is not None and self.withdrawal is None and still_ahead and self.withdrawn < self.granted

    @property
    def unanswered(self) -> bool:
        """Whether booking still owes the answer to a grant or a withdrawal; until then its money does not move."""
        return self.granted > self.answered or self.asked_back

    @property
    def awaits_deadline(self) -> bool:
        """Held, not satisfied, and not yet told overdue."""
        return self.basis is None and self.state is S.HELD and not self.overdue

    @property
    def owing(self) -> bool:
        """The treatment was given and nothing has paid for it."""
        return self.basis is None and self.state is S.COMPLETED

    def wants(self, now: datetime) -> bool:
        """Whether money would still be put to use here: a live session, or one whose place may be had again."""
        confirmed_before = self.state in (S.CONFIRMED, S.CHECKED_IN) and self.foretold > self.granted
        retriable = self.state is S.RELEASED and self.release in RETRIABLE
        still_possible = self.state is S.HELD or retriable or confirmed_before
        return self.basis is None and still_possible and self.starts_at > now

    def may_be_paid(self, now: datetime) -> bool:
        """Whether money can satisfy it, or pays for what was given; an insured one must be covered first."""
        return (self.owing or self.wants(now)) and (not self.insured or self.cover is not None)

    def is_open(self, now: datetime) -> bool:
        """Whether the session may still take place, or an answer about it is still to come."""
        return self.unanswered or self.wants(now) or self.owing or self.state in (S.CONFIRMED, S.CHECKED_IN)


@changed_often
class Account(NamedTuple):
    """One course as billing knows it; shares in order of their number, payments as they were heard.

    Attributes:
        terms: prices, deadlines and policy as they were when the course was accepted.
        plan: the insurance plan, as the request names it.
        planned_until: the last planned start: of the request, or of a course that could not be priced.
        rejected_at: when the last rejection was heard.
        first_grant_at: when the course's first grant was given; a hold that nothing ended runs out.
        refund_at: when the balance goes back, if nothing else becomes of it; there is a timer.
        disputed_cents: money that left by itself while it rested at sessions; nothing has made up for it yet.
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
    hold_expires_at: datetime | None = None
    planned_until: datetime | None = None
    rejected_at: datetime | None = None
    first_grant_at: datetime | None = None
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
        place = self.place_of(session_id)
        return None if place is None else self.shares[place]

    def place_of(self, session_id: UUID) -> int | None:
        """Where the share of this session stands; numbers are compared faster than ids."""
        wanted = session_id.int
        for place, share in enumerate(self.shares):
            if share.session_id.int == wanted:
                return place
        return None

    def payment(self, payment_id: str) -> Payment | None:
        """The payment of this id, where it came for this course."""
        return next((p for p in self.payments if p.payment_id == payment_id), None)

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

    def hold_ran_out(self, now: datetime) -> bool:
        """Whether booking's hold had passed before anything was satisfied."""
        end = self.hold_expires_at
        return end is not None and now > end and (self.first_grant_at is None or self.first_grant_at > end)


class Known(NamedTuple):
    """What a batch knows beyond its courses.

    Attributes:
        payments: of any course by their id: those that the batch names.
        visited: (clinic, patient, treatment) of patients who have had, or will have, their free first visit.
    """

    payments: Mapping[str, Payment]
    visited: frozenset[tuple[str, str, str]] = frozenset()
