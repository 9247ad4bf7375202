"""Where a course's money goes: to sessions in order of their start, and at last back. Pure.

`settle` runs after every message and depends on facts and their instants only, never on the order in which they were
heard: that is why payments, releases and cancellations may cross.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import uuid5

from services.billing import ledger
from services.billing.account import Refund, RefundedPart, Share, Stage
from services.billing.draft import Draft
from services.billing.ledger import EntryKind, Line
from shared.contract import (
    CURRENCY,
    Basis,
    PrepaymentSatisfied,
    RefundDue,
    RefundPart,
    RefundReason,
    ReleaseReason,
    SessionState,
)
from shared.envelope import NAMESPACE

S = SessionState

REJECTED_WITHOUT_PLAN: Final = timedelta(hours=24)
"""Money of a rejected course waits this long where we have seen no planned start: it may be asked for again."""


def settle(draft: Draft) -> None:
    """Allocate what the balance can cover, then see what goes back and when."""
    if draft.account.stage is Stage.PRICED:
        allocate(draft, draft.account.balance_cents, max(draft.now, draft.account.funded_at or draft.now))
    give_back(draft)


def allocate(draft: Draft, available_cents: int, now: datetime) -> int:
    """Give whole shares in order, and stop at the first that the money does not cover: no later one is preferred.

    First come treatments given unpaid, then sessions that are on time, then late ones (overdue, or of a hold that ran
    out), each in order of their start. Late is judged by the clock, not by what booking has told: its release and the
    money may cross. A session that is overdue by the clock alone, because its timer waits for a backlog to be read,
    holds up those behind it: it will be told overdue first and then be paid late, as without the wait.

    Args:
        available_cents: at most the balance.
        now: when the money was there.

    Returns:
        What is left of the money.
    """
    account, lapsed = draft.account, draft.account.hold_ran_out(now)

    def rank(share: Share) -> tuple[int, datetime, int]:
        late = share.overdue or lapsed or now > share.due_at
        return (0 if share.owing else 2 if late else 1), share.starts_at, share.number

    for share in sorted((s for s in account.shares if s.owing or s.wants(now)), key=rank):
        timer_is_behind = share.awaits_deadline and now > share.due_at
        if share.price_cents > available_cents or timer_is_behind:
            break
        pay(draft, share, now)
        available_cents -= share.price_cents
    return available_cents


def pay(draft: Draft, share: Share, now: datetime) -> None:
    """Move a share's price from the balance to the session; what has not been given yet is granted to booking."""
    paid = share._replace(basis=Basis.PAID, prepaid_cents=share.price_cents)
    if share.price_cents:
        lines = ledger.move(ledger.BALANCE, ledger.PREPAID, share.price_cents, share.session_id)
        draft.post(EntryKind.ALLOCATED, *lines)
    if share.owing:
        draft.put(paid)
        earn(draft, paid, ledger.REVENUE)
    else:
        grant(draft, paid, now)


def grant(draft: Draft, share: Share, now: datetime) -> None:
    """Tell booking that a session is satisfied, by the basis that it has now."""
    basis = Basis.FREE if share.price_cents == 0 else share.basis or Basis.PAID
    granted = draft.put(share._replace(basis=basis, granted=share.granted + 1))
    if draft.account.first_grant_at is None:
        draft.account = draft.account._replace(first_grant_at=now)
    draft.events.append(
        PrepaymentSatisfied(
            course_id=draft.account.course_id,
            session_id=share.session_id,
            grant=granted.granted,
            basis=basis,
            amount_cents=share.price_cents,
        )
    )


def earn(draft: Draft, share: Share, account: str) -> None:
    """Move a session's money to revenue or fees, where there is any."""
    if share.prepaid_cents:
        kind = EntryKind.RECOGNIZED if account == ledger.REVENUE else EntryKind.KEPT
        draft.post(kind, *ledger.move(ledger.PREPAID, account, share.prepaid_cents, share.session_id))
        draft.put(share._replace(prepaid_cents=0))


def take_back(draft: Draft, share: Share) -> None:
    """Move a session's money back to the balance; it waits for money again."""
    if share.prepaid_cents:
        lines = ledger.move(ledger.PREPAID, ledger.BALANCE, share.prepaid_cents, share.session_id)
        draft.post(EntryKind.RETURNED, *lines)
    draft.put(share._replace(basis=None, prepaid_cents=0))


# What goes back ------------------------------------------------------------------------------------------------------


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
        amount = min(left, share.price_cents - share.refunded_cents)
        if amount > 0 and share.basis is None and not share.is_open(draft.now):
            left, reason = left - amount, reason_of(share)
            draft.put(share._replace(refunded_cents=share.refunded_cents + amount))
    if not any(share.is_open(draft.now) for share in draft.account.shares):
        left = 0
    refund(draft, draft.account.balance_cents - left, reason)


def reason_of(share: Share) -> RefundReason:
    """Why a session that will not take place needs no money. A missed one counts as cancelled by the patient."""
    if share.state in (S.CANCELLED, S.MISSED):
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
    id = str(uuid5(NAMESPACE, f"refund/{account.course_id}/{number}"))
    draft.put_refund(Refund(id, number, amount_cents, reason, tuple(parts)))
    promised = (Line(ledger.REFUNDS_DUE, -part.amount_cents, payment_id=part.payment_id) for part in parts)
    draft.post(EntryKind.REFUND_DUE, Line(ledger.BALANCE, amount_cents), *promised)
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
