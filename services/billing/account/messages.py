"""Requests to billing over HTTP, as messages that stand on no topic, and how they are refused."""

from uuid import UUID

from pydantic import Field

from shared.contract.closed_sets import Refusal
from shared.contract.fields import Line, Name, PositiveCents
from shared.contract.register import CourseEvent


class NotAllowed(Exception):
    """A request that breaks a rule; `code` names it, `detail` is for people and has no personal data."""

    def __init__(self, code: Refusal, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class RefundRequested(CourseEvent, type="chairtime.refund.requested"):
    """A refund of unused money is wanted: of these sessions, or this much, or all of it.

    An amount comes from the balance first, then from the latest sessions.
    """

    sessions: tuple[UUID, ...] | None = Field(default=None, min_length=1, max_length=200)
    amount_cents: PositiveCents | None = None
    requested_by: Name
    reason: Line


class WaiverGranted(CourseEvent, type="chairtime.price.waived"):
    """A person decides that a session needs no money and no cover."""

    session_id: UUID
    waived_by: Name
    reason: Line = Field(min_length=1)
