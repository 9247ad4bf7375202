"""What billing has on record of a course besides its shares: money that came and left, cover, what was given. Pure."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from shared.contract.clinic import PaymentCaptured, Service
from shared.contract.closed_sets import AuthorizationDecision, Method, RefundReason, ReversalReason


class Payment(NamedTuple):
    """Money that came in. `out_cents`: how much of it has left again or was promised as a refund."""

    payment_id: str
    course_id: UUID
    amount_cents: int
    method: Method
    captured_at: datetime
    heard_at: datetime
    out_cents: int = 0

    def tells_the_same(self, fact: PaymentCaptured) -> bool:
        """Whether a message repeats what is known of this payment."""
        return (self.course_id, self.amount_cents, self.method, self.captured_at) == (
            fact.course_id,
            fact.amount_cents,
            fact.method,
            fact.captured_at,
        )

    @property
    def left_cents(self) -> int:
        """How much of it can still be refunded."""
        return self.amount_cents - self.out_cents


class RefundedPart(NamedTuple):
    """The part of a refund that comes from one payment."""

    payment_id: str
    amount_cents: int
    settled_cents: int = 0


class Refund(NamedTuple):
    """Money that the clinic owes back."""

    refund_id: str
    number: int
    amount_cents: int
    reason: RefundReason
    parts: tuple[RefundedPart, ...]

    @property
    def settled(self) -> bool:
        """Whether all of it has left the clinic."""
        return all(part.settled_cents == part.amount_cents for part in self.parts)


class Reversal(NamedTuple):
    """Money that left the clinic, as the till or a bank reports it."""

    reversal_id: str
    payment_id: str
    amount_cents: int
    reason: ReversalReason
    refund_id: str | None


class Authorization(NamedTuple):
    """What an insurer decided, as the clinic reports it; the last decision of a reference counts.

    Attributes:
        valid_from, valid_through: days of the clinic's calendar, both included; None: no bound.
        sessions: how many it covers; None: all.
    """

    number: int
    reference: str
    decision: AuthorizationDecision
    valid_from: date | None
    valid_through: date | None
    sessions: int | None
    copay_cents: int | None
    heard_at: datetime


class Given(NamedTuple):
    """A treatment that was given, as papers need it: by whom, its own start and stop, and what else was done."""

    session_id: UUID
    provider: str
    started_at: datetime
    ended_at: datetime
    services: tuple[Service, ...] | None


class Waiver(NamedTuple):
    """A price that a person has waived, and why. `grant_number`: what it was granted by; `message_id`: the request."""

    session_id: UUID
    grant_number: int
    waived_by: str
    reason: str
    message_id: str
    waived_at: datetime


class FreeVisit(NamedTuple):
    """A session that is free because it is the patient's first of this kind at the clinic."""

    session_id: UUID
    clinic: str
    patient_id: str
    treatment: str
