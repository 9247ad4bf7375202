"""Billing's routes: what a course owes and has paid, and money that the till takes in."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.billing import store
from services.billing.account import Account, Share, Stage
from shared.contract import (
    CURRENCY,
    Basis,
    PaymentCaptured,
    PaymentRecorded,
    PaymentRefusal,
    PaymentRejected,
    RefundReason,
    SessionState,
)
from shared.http import IdempotencyKey, Problem, Role, body_schema, caller, read_body, service_of, submit

Reader = Annotated[str, Depends(caller(Role.FRONT_DESK, Role.TILL, Role.BILLER))]
Till = Annotated[str, Depends(caller(Role.TILL))]

STATUS: Final = {PaymentRefusal.UNKNOWN_CURRENCY: 422, PaymentRefusal.CONFLICTING_REPEAT: 409}
DETAIL: Final = {
    PaymentRefusal.UNKNOWN_CURRENCY: f"currency: only {CURRENCY} is booked",
    PaymentRefusal.CONFLICTING_REPEAT: "the payment id came before with other content",
}

router = APIRouter(tags=["billing"])


class SessionAccount(BaseModel):
    """What one session costs, and where its money stands. `due_at` only while money is waited for."""

    session_id: UUID
    number: int
    state: SessionState
    starts_at: datetime
    price_cents: int
    prepaid_cents: int
    basis: Basis | None
    due_at: datetime | None
    overdue: bool


class RefundAccount(BaseModel):
    """Money that goes back, or went."""

    refund_id: str
    amount_cents: int
    reason: RefundReason
    settled_cents: int


class CourseAccount(BaseModel):
    """A course's money, in integer cents.

    Attributes:
        stage: unknown, rejected, unpriced, priced.
        owed_cents: what its sessions still wait for, beyond the balance.
        paid_cents: captured, less what went back or was promised back.
        allocated_cents: rests at sessions that are still to come.
        balance_cents: belongs to no session yet.
    """

    course_id: UUID
    stage: Stage
    currency: str
    price_cents: int
    owed_cents: int
    paid_cents: int
    allocated_cents: int
    balance_cents: int
    sessions: list[SessionAccount]
    refunds: list[RefundAccount]


@router.get("/v1/courses/{course_id}/account")
async def get_account(request: Request, course_id: UUID, by: Reader) -> CourseAccount:
    """What a course owes, has paid, where the money lies, and what is due when."""
    service = service_of(request)
    async with service.database.begin() as connection:
        account = await store.read_account(connection, course_id)
    if account is None or (account.stage is Stage.UNKNOWN and not account.payments):
        raise Problem(404, "not_found", "there is no such course")
    return account_shown(account, service.clock.now())


@router.post("/v1/payments", status_code=201, openapi_extra=body_schema(PaymentCaptured))
async def capture(request: Request, by: Till, key: IdempotencyKey) -> JSONResponse:
    """Book money that came in: 200 where this payment is booked already. Its course may be known later."""
    fact = await read_body(request, PaymentCaptured)
    for event in await submit(request, by, key, fact):
        data = event["data"]
        if event["type"] == PaymentRejected.type:
            code = PaymentRefusal(data["code"])
            raise Problem(STATUS[code], code, DETAIL[code])
        if event["type"] == PaymentRecorded.type:
            return JSONResponse(data, 201)
    async with service_of(request).database.begin() as connection:
        account = await store.read_account(connection, fact.course_id)
    return JSONResponse(
        {
            "course_id": str(fact.course_id),
            "payment_id": fact.payment_id,
            "amount_cents": fact.amount_cents,
            "unallocated_cents": account.balance_cents if account else 0,
        }
    )


def account_shown(account: Account, now: datetime) -> CourseAccount:
    """An account as the API tells it."""
    open_cents = sum(s.price_cents for s in account.shares if s.owing or (s.basis is None and s.wants(now)))
    return CourseAccount(
        course_id=account.course_id,
        stage=account.stage,
        currency=CURRENCY,
        price_cents=sum(s.price_cents for s in account.shares),
        owed_cents=max(0, open_cents - account.balance_cents),
        paid_cents=sum(p.left_cents for p in account.payments),
        allocated_cents=sum(s.prepaid_cents for s in account.shares),
        balance_cents=account.balance_cents,
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
    )


def _session_shown(share: Share) -> SessionAccount:
    told: dict[str, Any] = {name: getattr(share, name) for name in SessionAccount.model_fields}
    return SessionAccount(**told | {"due_at": share.due_at if share.awaits_deadline else None})
