"""What billing's routes take and give, with an example of each for the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.billing.account.account import Account, Stage
from services.billing.account.share import Share
from services.billing.papers.folder import Issued, Kind
from shared.contract.closed_sets import Basis, RefundReason, SessionState
from shared.contract.fields import Line, Name, PositiveCents
from shared.contract.topics import CURRENCY

COURSE_ID: Final = "0b7f7a52-6d0b-4c26-9a5e-0f6a3d1c2b10"
SESSION_ID: Final = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01"
REFUND_ID: Final = "5f6f4f0e-8a35-5a0c-b1d3-2f4b7d9a8c11"
STARTS_AT: Final = "2030-01-07T15:00:00Z"
DUE_AT: Final = "2030-01-05T15:00:00Z"

PAYMENT: Final[dict[str, Any]] = {
    "payment_id": "till-88120",
    "course_id": COURSE_ID,
    "amount_cents": 45000,
    "currency": CURRENCY,
    "method": "hsa",
    "captured_at": "2030-01-04T12:00:00Z",
}
RECORDED: Final[dict[str, Any]] = {
    "course_id": COURSE_ID,
    "payment_id": "till-88120",
    "amount_cents": 45000,
    "unallocated_cents": 0,
}
WAIVED: Final[dict[str, Any]] = {"course_id": COURSE_ID, "session_id": SESSION_ID, "waived_by": "Avery Brooks"}
PAGE: Final = '<!DOCTYPE html>\n<html lang="en">...'


class RefundWish(BaseModel):
    """Give unused money back: of these sessions, or this much, or all of it.

    `by` is who decided it, the owner of the key where nobody is named.
    """

    sessions: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=200)] | None = None
    amount_cents: PositiveCents | None = None
    by: Name | None = None
    reason: Annotated[Line, Field(min_length=1)]


class WaiverWish(BaseModel):
    """The price of a session is waived. `by` is who decided it, the owner of the key where nobody is named."""

    by: Name | None = None
    reason: Annotated[Line, Field(min_length=1)]


REFUNDS: Final[dict[str, Any]] = {
    "all": {"by": "Avery Brooks", "reason": "moves away"},
    "amount": {"amount_cents": 5000, "by": "Avery Brooks", "reason": "goodwill"},
    "session": {"sessions": [SESSION_ID], "by": "Avery Brooks", "reason": "a session less"},
}
WAIVERS: Final[dict[str, Any]] = {"hardship": {"by": "Avery Brooks", "reason": "hardship, form of January"}}


class SessionAccount(BaseModel):
    """What one session costs, and where its money stands.

    Attributes:
        price_cents: what it needs of the patient: its price, or the copay where an insurer covers it.
        due_at: only while money or cover is waited for.
        fee_cents: what the clinic keeps for coming not, or saying so late.
    """

    session_id: UUID
    number: int
    state: SessionState
    starts_at: datetime
    price_cents: int
    prepaid_cents: int
    insured: bool
    basis: Basis | None
    due_at: datetime | None
    overdue: bool
    fee_cents: int


class RefundAccount(BaseModel):
    """Money that goes back, or went."""

    refund_id: str
    amount_cents: int
    reason: RefundReason
    settled_cents: int


class PaperAccount(BaseModel):
    """A paper that can be shown; `version` is the newest."""

    kind: Kind
    id: UUID
    version: int


SESSION: Final[dict[str, Any]] = {
    "session_id": SESSION_ID,
    "number": 1,
    "state": "confirmed",
    "starts_at": STARTS_AT,
    "price_cents": 45000,
    "prepaid_cents": 45000,
    "insured": False,
    "basis": "paid",
    "due_at": None,
    "overdue": False,
    "fee_cents": 0,
}
REFUND: Final[dict[str, Any]] = {
    "refund_id": REFUND_ID,
    "amount_cents": 5000,
    "reason": "requested",
    "settled_cents": 0,
}
ACCOUNT: Final[dict[str, Any]] = {
    "course_id": COURSE_ID,
    "stage": "priced",
    "currency": CURRENCY,
    "price_cents": 90000,
    "owed_cents": 45000,
    "due_at": DUE_AT,
    "paid_cents": 45000,
    "allocated_cents": 45000,
    "balance_cents": 0,
    "disputed_cents": 0,
    "sessions": [SESSION],
    "refunds": [REFUND],
    "papers": [{"kind": "estimate", "id": COURSE_ID, "version": 1}],
}


class CourseAccount(BaseModel):
    """A course's money, in integer cents.

    Attributes:
        stage: unknown, rejected, unpriced, priced.
        owed_cents: what its sessions still wait for, beyond the balance.
        due_at: when the first of that is due.
        paid_cents: captured, less what went back or was promised back.
        allocated_cents: rests at sessions that are still to come.
        balance_cents: belongs to no session yet.
        disputed_cents: left by itself, as by a chargeback, and nothing has made up for it yet.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [ACCOUNT]})

    course_id: UUID
    stage: Stage
    currency: str
    price_cents: int
    owed_cents: int
    due_at: datetime | None
    paid_cents: int
    allocated_cents: int
    balance_cents: int
    disputed_cents: int
    sessions: list[SessionAccount]
    refunds: list[RefundAccount]
    papers: list[PaperAccount]


class PaymentBooked(BaseModel):
    """A payment that stands in the ledger; `unallocated_cents` is the course's balance afterwards."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECORDED]})

    course_id: UUID
    payment_id: str
    amount_cents: int
    unallocated_cents: int


class RefundsPromised(BaseModel):
    """What goes back at once, and the sessions whose places booking must give up first; their money follows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"course_id": COURSE_ID, "refunds": [{"refund_id": REFUND_ID, "amount_cents": 5000}], "asked_back": []}
            ]
        }
    )

    class Part(BaseModel):
        """One refund."""

        refund_id: str
        amount_cents: int

    course_id: UUID
    refunds: list[Part]
    asked_back: list[UUID]


class Waived(BaseModel):
    """A session whose price is waived."""

    model_config = ConfigDict(json_schema_extra={"examples": [WAIVED]})

    course_id: UUID
    session_id: UUID
    waived_by: str


def account_shown(account: Account, papers: list[Issued], now: datetime) -> CourseAccount:
    """An account as the API tells it."""
    still_open = [s for s in account.shares if s.owing or (s.basis is None and s.wants(now))]
    waiting = [s.due_at for s in still_open if s.awaits_deadline]
    return CourseAccount(
        course_id=account.course_id,
        stage=account.stage,
        currency=CURRENCY,
        price_cents=sum(s.price_cents for s in account.shares),
        owed_cents=max(0, sum(s.price_cents for s in still_open) - account.balance_cents),
        due_at=min(waiting, default=None),
        paid_cents=sum(p.left_cents for p in account.payments),
        allocated_cents=sum(s.prepaid_cents for s in account.shares),
        balance_cents=account.balance_cents,
        disputed_cents=account.disputed_cents,
        sessions=[_session_shown(share) for share in account.shares],
        refunds=[
            RefundAccount(
                refund_id=refund.refund_id,
                amount_cents=refund.amount_cents,
                reason=refund.reason,
                settled_cents=sum(part.settled_cents for part in refund.parts),
            )
            for refund in account.refunds
        ],
        papers=[PaperAccount(kind=p.kind, id=p.paper_id, version=p.version) for p in papers],
    )


def _session_shown(share: Share) -> SessionAccount:
    told: dict[str, Any] = {name: getattr(share, name) for name in SessionAccount.model_fields}
    return SessionAccount(**told | {"due_at": share.due_at if share.awaits_deadline else None})
