"""What billing tells: of the default course (`tests.facts.course`), of which each session costs 579.17 dollars."""

from typing import Any
from uuid import UUID

from shared.contract.billing import (
    PrepaymentOverdue,
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    PricingRejected,
)
from shared.contract.closed_sets import Basis, Needs, PricingRefusal, WithdrawalReason
from tests.facts.course import COURSE, DAY, NOW, PATIENT, session_id


def prepayment_required(number: int = 1, course: UUID = COURSE, **told: Any) -> PrepaymentRequired:
    """A session waits for money for a day."""
    fields: dict[str, Any] = {
        "course_id": course,
        "session_id": session_id(number, course),
        "patient_id": PATIENT,
        "needs": Needs.MONEY,
        "amount_cents": 57917,
        "currency": "USD",
        "due_at": NOW + DAY,
    }
    return PrepaymentRequired(**(fields | told))


def prepayment_satisfied(number: int = 1, grant: int = 1, course: UUID = COURSE, **told: Any) -> PrepaymentSatisfied:
    """A session is paid: billing grants it."""
    fields: dict[str, Any] = {
        "course_id": course,
        "session_id": session_id(number, course),
        "grant": grant,
        "basis": Basis.PAID,
        "amount_cents": 57917,
    }
    return PrepaymentSatisfied(**(fields | told))


def prepayment_withdrawn(number: int = 1, grant: int = 1, course: UUID = COURSE) -> PrepaymentWithdrawn:
    """Billing wants a grant back."""
    return PrepaymentWithdrawn(
        course_id=course, session_id=session_id(number, course), grant=grant, reason=WithdrawalReason.REFUND
    )


def prepayment_overdue(number: int = 1, course: UUID = COURSE) -> PrepaymentOverdue:
    """Nobody paid in time."""
    return PrepaymentOverdue(
        course_id=course, session_id=session_id(number, course), amount_cents=57917, due_at=NOW + DAY
    )


def pricing_rejected(course: UUID = COURSE) -> PricingRejected:
    """The course has no price."""
    return PricingRejected(course_id=course, code=PricingRefusal.NO_PRICE, detail="")
