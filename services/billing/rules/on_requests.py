"""What people ask of billing over HTTP: money back, a price waived. Pure.

These messages never travel. One that breaks a rule raises `NotAllowed`: nothing is kept, and the caller gets the code.
"""

from uuid import UUID

from services.billing.account.account import Stage
from services.billing.account.messages import NotAllowed, RefundRequested, WaiverGranted
from services.billing.account.records import Waiver
from services.billing.account.share import Share
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import promise_refund
from services.billing.rules.shares import grant
from shared.contract.closed_sets import Basis, RefundReason, Refusal, WithdrawalReason


def on_refund_requested(draft: Draft, wish: RefundRequested) -> None:
    """Refund what rests in the balance at once; a session's money follows when its grant was withdrawn.

    Raises:
        NotAllowed: there is no such session, or not that much unused money.
    """
    account = draft.account
    if wish.sessions is not None:
        if wish.amount_cents is not None:
            raise NotAllowed(Refusal.WRONG_STATE, "either sessions or an amount")
        wanted = [_with_money(draft, session_id) for session_id in wish.sessions]
        left, from_balance = sum(share.prepaid_cents for share in wanted), 0
    else:
        possible = [s for s in account.shares if s.prepaid_cents and s.may_be_withdrawn]
        wanted = sorted(possible, key=lambda s: (s.starts_at, s.number), reverse=True)
        unused = account.balance_cents + sum(share.prepaid_cents for share in wanted)
        left = unused if wish.amount_cents is None else wish.amount_cents
        if left == 0 or left > unused:
            raise NotAllowed(Refusal.WRONG_STATE, f"{unused} cents are unused")
        from_balance = min(left, account.balance_cents)
    promise_refund(draft, from_balance, RefundReason.REQUESTED)
    left -= from_balance
    for share in wanted:
        part = min(left, share.prepaid_cents)
        if part:
            draft.put(share._replace(withdrawal=WithdrawalReason.REFUND, refunding_cents=part))
        left -= part


def _with_money(draft: Draft, session_id: UUID) -> Share:
    share = draft.account.share(session_id)
    if share is None:
        raise NotAllowed(Refusal.UNKNOWN_SESSION, "the course has no such session")
    if share.prepaid_cents == 0 or not share.may_be_withdrawn:
        raise NotAllowed(Refusal.WRONG_STATE, "no money of this session can be given back")
    return share


def on_waived(draft: Draft, wish: WaiverGranted) -> None:
    """Satisfy a session by a waiver in place of its price: one that waits for it, or that was given unpaid.

    Raises:
        NotAllowed: there is no such session, or it needs nothing.
    """
    share = draft.account.share(wish.session_id)
    if share is None or draft.account.stage is not Stage.PRICED:
        raise NotAllowed(Refusal.UNKNOWN_SESSION, "the course has no such session")
    if not share.owing and not share.wants(draft.now):
        raise NotAllowed(Refusal.WRONG_STATE, f"a session that is {share.state} waits for no price")
    number = share.granted if share.owing else share.granted + 1
    waiver = Waiver(share.session_id, number, wish.waived_by, wish.reason, draft.message.id, draft.now)
    draft.account = draft.account._replace(waivers=(*draft.account.waivers, waiver))
    if share.owing:
        draft.put(share._replace(basis=Basis.WAIVED))
    else:
        grant(draft, share._replace(basis=Basis.WAIVED))
