"""Billing's routes about money: what a course owes and has paid, money that comes in, goes back, or is waived.

Whoever asks for money to move is noted on the audit trail first: what follows names that request as its cause.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse

from services.billing.account.account import Account, Stage
from services.billing.account.messages import NotAllowed, RefundRequested, WaiverGranted
from services.billing.http.shapes import (
    COURSE_ID,
    PAYMENT,
    REFUNDS,
    SESSION_ID,
    WAIVERS,
    CourseAccount,
    PaymentBooked,
    RefundsPromised,
    RefundWish,
    Waived,
    WaiverWish,
    account_shown,
)
from services.billing.store.accounts import course_of, read_account
from services.billing.store.papers import papers_of
from shared.configuration.api_keys import Role
from shared.contract.billing import PaymentRecorded, PaymentRejected, PrepaymentWithdrawn, RefundDue
from shared.contract.clinic import PaymentCaptured
from shared.contract.closed_sets import PaymentRefusal, Refusal
from shared.contract.register import CourseEvent
from shared.contract.topics import CURRENCY
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import READ, WRITE, Problem
from shared.http.requests import IdempotencyKey, body_schema, read_body, request_id, submit
from shared.tables import audit
from shared.worker.service_rules import Answer

Reader = Annotated[str, Depends(RequiresRole(Role.FRONT_DESK, Role.TILL, Role.BILLER))]
Till = Annotated[str, Depends(RequiresRole(Role.TILL))]
Biller = Annotated[str, Depends(RequiresRole(Role.BILLER))]
CourseId = Annotated[UUID, Path(examples=[COURSE_ID])]
SessionId = Annotated[UUID, Path(examples=[SESSION_ID])]

STATUS: Final = {PaymentRefusal.UNKNOWN_CURRENCY: 422, PaymentRefusal.CONFLICTING_REPEAT: 409}
DETAIL: Final = {
    PaymentRefusal.UNKNOWN_CURRENCY: f"currency: only {CURRENCY} is booked",
    PaymentRefusal.CONFLICTING_REPEAT: "the payment id came before with other content",
}
UNKNOWN: Final = frozenset({Refusal.UNKNOWN_COURSE, Refusal.UNKNOWN_SESSION})

router = APIRouter(tags=["money"])


@router.get("/v1/courses/{course_id}/account", responses=READ)
async def get_account(request: Request, course_id: CourseId, by: Reader) -> CourseAccount:
    """What a course owes, has paid, where the money lies, what is due when, and which papers there are."""
    account = await _account(request, course_id)
    async with service_of(request).database.begin() as connection:
        papers = await papers_of(connection, course_id)
    return account_shown(account, papers, service_of(request).clock.now())


@router.post(
    "/v1/payments",
    status_code=201,
    response_model=PaymentBooked,
    responses=WRITE | {200: {"model": PaymentBooked, "description": "It was booked before"}},
    openapi_extra=body_schema(PaymentCaptured, card=PAYMENT),
)
async def capture(request: Request, by: Till, key: IdempotencyKey) -> Response:
    """Book money that came in. Its course may be known later."""
    fact = await read_body(request, PaymentCaptured)
    await _note(request, by, key, "payment", fact.course_id, fact.payment_id)
    for event in await submit(request, by, key, fact):
        data = event["data"]
        if event["type"] == PaymentRejected.type:
            code = PaymentRefusal(data["code"])
            raise Problem(STATUS[code], code, DETAIL[code])
        if event["type"] == PaymentRecorded.type:
            return JSONResponse(data, 201)
    account = await _account(request, fact.course_id)
    booked = PaymentBooked(
        course_id=fact.course_id,
        payment_id=fact.payment_id,
        amount_cents=fact.amount_cents,
        unallocated_cents=account.balance_cents,
    )
    return JSONResponse(booked.model_dump(mode="json"))


@router.post(
    "/v1/courses/{course_id}/refunds",
    status_code=201,
    response_model=RefundsPromised,
    responses=WRITE | {202: {"model": RefundsPromised, "description": "All of it follows booking's answer"}},
    openapi_extra=body_schema(RefundWish, **REFUNDS),
)
async def refund(request: Request, course_id: CourseId, by: Biller, key: IdempotencyKey) -> Response:
    """Promise unused money back: what rests in the balance at once, a session's when its place was given up."""
    wish = await read_body(request, RefundWish)
    await _account(request, course_id)
    who = wish.by or by
    await _note(request, by, key, "refund", course_id, f"{who}: {wish.reason}")
    answer = await _ask(
        request,
        by,
        key,
        RefundRequested(
            course_id=course_id,
            sessions=wish.sessions,
            amount_cents=wish.amount_cents,
            requested_by=who,
            reason=wish.reason,
        ),
    )
    promised = RefundsPromised(
        course_id=course_id,
        refunds=[RefundsPromised.Part(**_kept(e["data"])) for e in answer if e["type"] == RefundDue.type],
        asked_back=[UUID(e["data"]["session_id"]) for e in answer if e["type"] == PrepaymentWithdrawn.type],
    )
    return JSONResponse(promised.model_dump(mode="json"), 201 if promised.refunds else 202)


def _kept(refund: dict[str, object]) -> dict[str, object]:
    return {name: refund[name] for name in RefundsPromised.Part.model_fields}


@router.post(
    "/v1/sessions/{session_id}/waiver",
    status_code=201,
    response_model=Waived,
    responses=WRITE,
    openapi_extra=body_schema(WaiverWish, **WAIVERS),
)
async def waive(request: Request, session_id: SessionId, by: Biller, key: IdempotencyKey) -> Response:
    """Waive a session's price: it counts as paid. A person stands for it, with a reason."""
    wish = await read_body(request, WaiverWish)
    async with service_of(request).database.begin() as connection:
        course_id = await course_of(connection, session_id)
    if course_id is None:
        raise Problem(404, "not_found", "there is no such session")
    who = wish.by or by
    await _note(request, by, key, "waiver", session_id, f"{who}: {wish.reason}")
    waiver = WaiverGranted(course_id=course_id, session_id=session_id, waived_by=who, reason=wish.reason)
    await _ask(request, by, key, waiver)
    done = Waived(course_id=course_id, session_id=session_id, waived_by=who)
    return JSONResponse(done.model_dump(mode="json"), 201)


async def _account(request: Request, course_id: UUID) -> Account:
    async with service_of(request).database.begin() as connection:
        account = await read_account(connection, course_id)
    if account is None or (account.stage is Stage.UNKNOWN and not account.payments):
        raise Problem(404, "not_found", "there is no such course")
    return account


async def _ask(request: Request, by: str, key: str, wish: CourseEvent) -> Answer:
    try:
        return await submit(request, by, key, wish)
    except NotAllowed as refused:
        status = 404 if refused.code in UNKNOWN else 409
        raise Problem(status, refused.code, refused.detail) from None


async def _note(request: Request, by: str, key: str, action: str, subject: UUID, detail: str) -> None:
    service, id = service_of(request), request_id(request, by, key)
    async with service.database.begin() as connection:
        await audit.keep(connection, id, by, action, str(subject), detail, service.clock.now())
