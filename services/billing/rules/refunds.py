"""What is refunded to the patient: how much, from which payments, when and why. Pure.

`docs/refunds.md` has the whole story, with a picture. How a session's money comes back to the balance stands in
`shares` and `withdrawals`; that a refund was paid out, in `on_payments`.
"""

from datetime import datetime, timedelta
from typing import Final

from services.billing.account import ledger
from services.billing.account.account import Stage
from services.billing.account.ledger import EntryKind, Posting
from services.billing.account.records import Refund, RefundedPart
from services.billing.account.share import Share
from services.billing.rules.draft import Draft
from shared.contract.billing import RefundDue, RefundPart
from shared.contract.closed_sets import By, RefundReason, ReleaseReason, SessionState
from shared.contract.topics import CURRENCY
from shared.decision.message import derived_id

REJECTED_WITHOUT_PLAN: Final = timedelta(hours=24)
"""Money of a rejected course waits this long where no planned start is known: the course may be requested again."""


def refund_unused(draft: Draft) -> None:
    """Refund what no session of the course can use any more, or set the instant at which that will be so."""
    account, now = draft.account, draft.now
    if account.balance_cents == 0:
        draft.set_refund_at(None)
        return
    match account.stage:
        case Stage.UNKNOWN:
            draft.set_refund_at(None)  # the course may come; after a day a person is asked
        case Stage.REJECTED:
            patience = account.rejected_at + REJECTED_WITHOUT_PLAN if account.rejected_at else now
            _refund_balance_at(draft, account.planned_until or patience, RefundReason.REJECTED)
        case Stage.UNPRICED:
            _refund_balance_at(draft, account.planned_until or now, RefundReason.RELEASED)
        case Stage.PRICED:
            waiting = [s.starts_at for s in account.shares if s.wants(now)]
            draft.set_refund_at(max(waiting, default=None))
            if not waiting and not any(s.owing for s in account.shares):
                _refund_beyond_need(draft)


def _refund_balance_at(draft: Draft, at: datetime, reason: RefundReason) -> None:
    """Refund the whole balance, once this instant has come."""
    if at <= draft.now:
        draft.set_refund_at(None)
        promise_refund(draft, draft.account.balance_cents, reason)
    else:
        draft.set_refund_at(at)


def _refund_beyond_need(draft: Draft) -> None:
    """Refund at once what sessions that will not take place would have cost; the rest when no session is open."""
    left, reason = draft.account.balance_cents, RefundReason.OVERPAID
    for share in sorted(draft.account.shares, key=lambda s: s.starts_at):
        amount = min(left, share.price_cents - share.refunded_cents - share.fee_cents)
        if amount > 0 and share.basis is None and not share.is_open(draft.now):
            left, reason = left - amount, refund_reason(share)
            draft.put(share._replace(refunded_cents=share.refunded_cents + amount))
    if not any(share.is_open(draft.now) for share in draft.account.shares):
        left = 0
    promise_refund(draft, draft.account.balance_cents - left, reason)


def refund_reason(share: Share) -> RefundReason:
    """Why money of a session that will not take place is refunded. A missed one counts as cancelled by the patient."""
    if share.state is SessionState.CANCELLED and share.cancelled_by is By.CLINIC:
        return RefundReason.CLINIC_FAULT
    if share.state in (SessionState.CANCELLED, SessionState.MISSED):
        return RefundReason.CANCELLED
    return RefundReason.SLOT_TAKEN if share.release is ReleaseReason.SLOT_TAKEN else RefundReason.RELEASED


def promise_refund(draft: Draft, amount_cents: int, reason: RefundReason) -> None:
    """Promise the patient money of the balance, from the newest payments first and never more than each has left.

    The clinic owes it from here on. Nothing becomes of an amount of 0.

    Raises:
        ValueError: the payments do not have that much left; the ledger and the payments disagree.
    """
    if amount_cents == 0:
        return
    account, left = draft.account, amount_cents
    parts: list[RefundedPart] = []
    for payment in sorted(account.payments, key=lambda p: (p.captured_at, p.payment_id), reverse=True):
        amount = min(left, payment.left_cents)
        if amount:
            parts.append(RefundedPart(payment.payment_id, amount))
            draft.put_payment(payment._replace(out_cents=payment.out_cents + amount))
            left -= amount
    if left:
        raise ValueError("a refund of more than was paid")
    number = len(account.refunds) + 1
    id = str(derived_id(f"refund/{account.course_id}/{number}"))
    draft.put_refund(Refund(id, number, amount_cents, reason, tuple(parts)))
    promised = (Posting(ledger.REFUNDS_DUE, -part.amount_cents, payment_id=part.payment_id) for part in parts)
    draft.post(EntryKind.REFUND_DUE, Posting(ledger.BALANCE, amount_cents), *promised)
    draft.events.append(
        RefundDue(
            course_id=account.course_id,
            refund_id=id,
            amount_cents=amount_cents,
            currency=CURRENCY,
            reason=reason,
            payments=tuple(RefundPart(payment_id=p.payment_id, amount_cents=p.amount_cents) for p in parts),
        )
    )


def offset_dispute(draft: Draft) -> None:
    """Let the balance make up for disputed money, as far as it goes."""
    offset = min(draft.account.balance_cents, draft.account.disputed_cents)
    if offset:
        draft.post(EntryKind.RECOVERED, Posting(ledger.BALANCE, offset), Posting(ledger.DISPUTED, -offset))
