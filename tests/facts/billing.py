"""What billing tells."""

from datetime import timedelta
from uuid import UUID

from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.closed_sets import Basis, Needs, WithdrawalReason
from tests.facts.course import COURSE, DAY, session_id, start
from tests.facts.texted_course import COURSE_ID, MONDAY, PATIENT, id_of


def required(number: int = 1, needs: Needs = Needs.MONEY, course: UUID = COURSE) -> PrepaymentRequired:
    """Billing tells what a session waits for."""
    return PrepaymentRequired(
        course_id=course,
        session_id=session_id(number, course),
        patient_id="patient-1",
        needs=needs,
        amount_cents=57917,
        currency="USD",
        due_at=start(number),
    )


def satisfied(number: int = 1, grant: int = 1, course: UUID = COURSE) -> PrepaymentSatisfied:
    """Billing grants a session."""
    return PrepaymentSatisfied(
        course_id=course, session_id=session_id(number, course), grant=grant, basis=Basis.PAID, amount_cents=57917
    )


def withdrawn(number: int = 1, grant: int = 1, course: UUID = COURSE) -> PrepaymentWithdrawn:
    """Billing wants a grant back."""
    return PrepaymentWithdrawn(
        course_id=course, session_id=session_id(number, course), grant=grant, reason=WithdrawalReason.REFUND
    )


def overdue(number: int = 1, course: UUID = COURSE) -> PrepaymentOverdue:
    """Nobody paid in time."""
    return PrepaymentOverdue(
        course_id=course, session_id=session_id(number, course), amount_cents=57917, due_at=start(number) - 2 * DAY
    )


def prepayment_required(number: int) -> PrepaymentRequired:
    """Billing demands money for a session."""
    return PrepaymentRequired(
        course_id=COURSE_ID,
        session_id=id_of(number),
        patient_id=PATIENT,
        needs=Needs.MONEY,
        amount_cents=57917,
        currency="USD",
        due_at=MONDAY + timedelta(days=1),
    )


def prepayment_satisfied(number: int, grant: int = 1) -> PrepaymentSatisfied:
    """A session is paid."""
    return PrepaymentSatisfied(
        course_id=COURSE_ID, session_id=id_of(number), grant=grant, basis=Basis.PAID, amount_cents=57917
    )
