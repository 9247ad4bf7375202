"""What people ask of billing: money back, a price waived."""

from services.billing.account.messages import RefundRequested, WaiverGranted
from tests.facts.course import COURSE, session_id


def please(*numbers: int, cents: int | None = None) -> RefundRequested:
    """Money back: of these sessions, or so much, or all that is unused."""
    sessions = tuple(session_id(number) for number in numbers) or None
    return RefundRequested(course_id=COURSE, sessions=sessions, amount_cents=cents, requested_by="desk", reason="asked")


def waived(number: int = 1) -> WaiverGranted:
    return WaiverGranted(course_id=COURSE, session_id=session_id(number), waived_by="A. Person", reason="goodwill")
