"""What follows from money that came, and from money that left. Pure."""

from datetime import timedelta
from typing import Final

from services.billing import ledger
from services.billing.account import Payment, Refund, Reversal, Stage
from services.billing.draft import Draft
from services.billing.ledger import EntryKind, Line
from services.billing.settlement import settle
from shared.contract import (
    CURRENCY,
    AuthorizationDecided,
    PaymentCaptured,
    PaymentRecorded,
    PaymentRefusal,
    PaymentRejected,
    PaymentReversed,
    RefundSettled,
)
from shared.decision import Timer

UNKNOWN_AFTER: Final = timedelta(hours=24)
"""Money that waits this long for a course that never came goes to a person (contract rule 5)."""


def on_captured(draft: Draft, fact: PaymentCaptured) -> None:
    """Book the money once; `payment.recorded` tells what is left of the balance when it has been put to use."""
    if fact.currency != CURRENCY:
        _reject(draft, fact, PaymentRefusal.UNKNOWN_CURRENCY)
        return
    known = draft.known.get(fact.payment_id)
    if known is not None:
        if not known.tells_the_same(fact):
            _reject(draft, fact, PaymentRefusal.CONFLICTING_REPEAT)
            draft.raise_attention("conflicting_payment", fact.payment_id, "the id came again with other content")
        return
    if draft.account.stage is Stage.UNKNOWN and not draft.account.payments:
        draft.timers.append(Timer("course", draft.now + UNKNOWN_AFTER))
    id, amount = fact.payment_id, fact.amount_cents
    draft.put_payment(Payment(id, fact.course_id, amount, fact.method, fact.captured_at, draft.now))
    draft.post(
        EntryKind.CAPTURED,
        Line(ledger.cash(fact.method), amount, payment_id=id),
        Line(ledger.BALANCE, -amount, payment_id=id),
    )
    settle(draft)
    recorded = PaymentRecorded(
        course_id=fact.course_id,
        payment_id=id,
        amount_cents=amount,
        unallocated_cents=draft.account.balance_cents,
    )
    draft.events.insert(0, recorded)


def _reject(draft: Draft, fact: PaymentCaptured, code: PaymentRefusal) -> None:
    draft.events.append(PaymentRejected(course_id=fact.course_id, payment_id=fact.payment_id, code=code))


def on_reversed(draft: Draft, fact: PaymentReversed) -> None:
    """Settle the refund that it names; whatever it says beyond that goes to a person, and to the books if it can."""
    told = Reversal(fact.reversal_id, fact.payment_id, fact.amount_cents, fact.reason, fact.refund_id)
    known = next((r for r in draft.account.reversals if r.reversal_id == fact.reversal_id), None)
    if known is not None:
        if known != told:
            draft.raise_attention("conflicting_reversal", fact.reversal_id, "the id came again with other content")
        return
    draft.put_reversal(told)
    payment = draft.account.payment(fact.payment_id)
    if payment is None:
        draft.raise_attention("reversal", fact.reversal_id, "of a payment that this course does not have")
        return
    refund = next((r for r in draft.account.refunds if r.refund_id == fact.refund_id), None)
    beyond = fact.amount_cents - (_settle_refund(draft, refund, payment, fact.amount_cents) if refund else 0)
    if beyond == 0:
        return
    payment = draft.account.payment(fact.payment_id) or payment
    booked = beyond <= min(payment.left_cents, draft.account.balance_cents)
    if booked:
        draft.put_payment(payment._replace(out_cents=payment.out_cents + beyond))
        draft.post(
            EntryKind.REVERSED,
            Line(ledger.BALANCE, beyond, payment_id=payment.payment_id),
            Line(ledger.cash(payment.method), -beyond, payment_id=payment.payment_id),
        )
    where = "taken from the balance" if booked else "not in the ledger: the balance does not cover it"
    draft.raise_attention("reversal", fact.reversal_id, f"{fact.reason} of {beyond} cents, {where}")


def _settle_refund(draft: Draft, refund: Refund, payment: Payment, amount_cents: int) -> int:
    """Count money towards a refund; returns how much of it the refund had waited for."""
    part = next((p for p in refund.parts if p.payment_id == payment.payment_id), None)
    settled = min(amount_cents, part.amount_cents - part.settled_cents) if part else 0
    if part is None or settled == 0:
        return 0
    paid_out = part._replace(settled_cents=part.settled_cents + settled)
    refund = refund._replace(parts=tuple(paid_out if p is part else p for p in refund.parts))
    draft.put_refund(refund)
    draft.post(
        EntryKind.REFUND_SETTLED,
        Line(ledger.REFUNDS_DUE, settled, payment_id=payment.payment_id),
        Line(ledger.cash(payment.method), -settled, payment_id=payment.payment_id),
    )
    if refund.settled:
        draft.events.append(RefundSettled(course_id=draft.account.course_id, refund_id=refund.refund_id))
    return settled


def on_authorization(draft: Draft, fact: AuthorizationDecided) -> None:
    """Only approved treatments need one, and no tariff has such yet."""
    draft.raise_attention("authorization", fact.course_id, f"{fact.decision}: no treatment here asks for one")
