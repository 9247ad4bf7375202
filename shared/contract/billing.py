"""What billing tells on `billing.events`."""

from uuid import UUID

from shared.contract.closed_sets import Basis, Needs, PaymentRefusal, PricingRefusal, RefundReason, WithdrawalReason
from shared.contract.fields import Cents, Currency, Id, Instant, PositiveCents
from shared.contract.register import CourseEvent, Part


class PrepaymentRequired(CourseEvent, type="billing.prepayment.required.v1", topic="billing.events"):
    """A session waits for money or an authorization until `due_at`."""

    session_id: UUID
    patient_id: Id
    needs: Needs
    amount_cents: Cents
    currency: Currency
    due_at: Instant
    estimate_id: Id | None = None


class PrepaymentSatisfied(CourseEvent, type="billing.prepayment.satisfied.v1", topic="billing.events"):
    """A grant: the session may be confirmed. `grant` counts up per session; booking answers each exactly once."""

    session_id: UUID
    grant: int
    basis: Basis
    amount_cents: Cents


class PrepaymentWithdrawn(CourseEvent, type="billing.prepayment.withdrawn.v1", topic="billing.events"):
    """Billing asks booking to take a grant back."""

    session_id: UUID
    grant: int
    reason: WithdrawalReason


class PrepaymentOverdue(CourseEvent, type="billing.prepayment.overdue.v1", topic="billing.events"):
    """A session was not satisfied in time."""

    session_id: UUID
    amount_cents: Cents
    due_at: Instant


class PricingRejected(CourseEvent, type="billing.pricing.rejected.v1", topic="billing.events"):
    """The course cannot be priced; booking releases it whole."""

    code: PricingRefusal
    detail: str


class PaymentRecorded(CourseEvent, type="billing.payment.recorded.v1", topic="billing.events"):
    """The ledger has the payment; `unallocated_cents` is the course's balance afterwards."""

    payment_id: Id
    amount_cents: Cents
    unallocated_cents: Cents


class PaymentRejected(CourseEvent, type="billing.payment.rejected.v1", topic="billing.events"):
    """The payment was not booked."""

    payment_id: Id
    code: PaymentRefusal


class RefundPart(Part):
    """The part of a refund that comes from one payment."""

    payment_id: Id
    amount_cents: PositiveCents


class RefundDue(CourseEvent, type="billing.refund.due.v1", topic="billing.events"):
    """Money that the clinic owes back, and the payments that it came from."""

    refund_id: Id
    amount_cents: PositiveCents
    currency: Currency
    reason: RefundReason
    payments: tuple[RefundPart, ...]


class RefundSettled(CourseEvent, type="billing.refund.settled.v1", topic="billing.events"):
    """The whole refund has left the clinic."""

    refund_id: Id


class EstimateIssued(CourseEvent, type="billing.estimate.issued.v1", topic="billing.events"):
    """A good-faith estimate, or a new version of one."""

    estimate_id: Id
    version: int
    total_cents: Cents


class SuperbillIssued(CourseEvent, type="billing.superbill.issued.v1", topic="billing.events"):
    """The paper that the patient hands to an insurer, for one date of service."""

    session_id: UUID
    superbill_id: Id
