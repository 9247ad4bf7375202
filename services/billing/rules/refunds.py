"""What goes back to the patient: how much, from which payments, when and why. Pure."""

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
"""Money of a rejected course waits this long where we have seen no planned start: it may be asked for again."""


def give_back(draft: Draft) -> None:
    """Refund what nothing can use any more, or set the instant at which that will be so."""
    account, now = draft.account, draft.now
    if account.balance_cents == 0:
        draft.refund_at(None)
        return
    match account.stage:
        case Stage.UNKNOWN:
            draft.refund_at(None)  # the course may come; after a day a person is asked
        case Stage.REJECTED:
            patience = account.rejected_at + REJECTED_WITHOUT_PLAN if account.rejected_at else now
            _give_all_back(draft, account.planned_until or patience, RefundReason.REJECTED)
        case Stage.UNPRICED:
            _give_all_back(draft, account.planned_until or now, RefundReason.RELEASED)
        case Stage.PRICED:
            waiting = [s.starts_at for s in account.shares if s.wants(now)]
            draft.refund_at(max(waiting, default=None))
            if not waiting and not any(s.owing for s in account.shares):
                _give_unused_back(draft)


def _give_all_back(draft: Draft, at: datetime, reason: RefundReason) -> None:
    if at <= draft.now:
        draft.refund_at(None)
        refund(draft, draft.account.balance_cents, reason)
    else:
        draft.refund_at(at)


def _give_unused_back(draft: Draft) -> None:
    """Up to the price of the sessions that will not take place at once; what is over when the course has ended."""
    left, reason = draft.account.balance_cents, RefundReason.OVERPAID
    for share in sorted(draft.account.shares, key=lambda s: s.starts_at):
        amount = min(left, share.price_cents - share.refunded_cents - share.fee_cents)
        if amount > 0 and share.basis is None and not share.is_open(draft.now):
            left, reason = left - amount, reason_of(share)
            draft.put(share._replace(refunded_cents=share.refunded_cents + amount))
    if not any(share.is_open(draft.now) for share in draft.account.shares):
        left = 0
    refund(draft, draft.account.balance_cents - left, reason)


def reason_of(share: Share) -> RefundReason:
    """Why a session that will not take place needs no money. A missed one counts as cancelled by the patient."""
    if share.state is SessionState.CANCELLED and share.cancelled_by is By.CLINIC:
        return RefundReason.CLINIC_FAULT
    if share.state in (SessionState.CANCELLED, SessionState.MISSED):
        return RefundReason.CANCELLED
    return RefundReason.SLOT_TAKEN if share.release is ReleaseReason.SLOT_TAKEN else RefundReason.RELEASED


def refund(draft: Draft, amount_cents: int, reason: RefundReason) -> None:
    """Promise money back, from the newest payments first and never more than each has left.

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


def recover(draft: Draft) -> None:
    """Let the balance make up for money that left by itself."""
    back = min(draft.account.balance_cents, draft.account.disputed_cents)
    if back:
        draft.post(EntryKind.RECOVERED, Posting(ledger.BALANCE, back), Posting(ledger.DISPUTED, -back))
