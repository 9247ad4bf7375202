"""What people ask of billing over HTTP about the default course (`tests.facts.course`): money back, a price waived."""

from services.billing.account.messages import RefundRequested, WaiverGranted
from tests.facts.course import COURSE, session_id


def refund_requested(*numbers: int, cents: int | None = None) -> RefundRequested:
    """Money back: of these sessions, or so much, or all that is unused."""
    sessions = tuple(session_id(number) for number in numbers) or None
    return RefundRequested(course_id=COURSE, sessions=sessions, amount_cents=cents, requested_by="desk", reason="asked")


def waiver_granted(number: int = 1) -> WaiverGranted:
    """Somebody forgoes a session's price."""
    return WaiverGranted(course_id=COURSE, session_id=session_id(number), waived_by="A. Person", reason="goodwill")
