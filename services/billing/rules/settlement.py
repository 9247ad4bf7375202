"""Where a course's money goes: to sessions in order of their start, and what they leave to the patient. Pure.

`settle` runs after every message and depends on facts and their instants only, never on the order in which they were
heard: that is why payments, releases, cancellations and authorizations may cross.
"""

from datetime import datetime

from services.billing.account.account import Stage
from services.billing.account.share import Share
from services.billing.rules.coverage import follow_cover
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import refund_unused
from services.billing.rules.shares import pay
from services.billing.rules.withdrawals import recoup_dispute, request_withdrawals


def settle(draft: Draft) -> None:
    """Recoup disputed money, cover and allocate, request withdrawals, then refund what is unused or set when."""
    if draft.account.disputed_cents:
        recoup_dispute(draft)
    if draft.account.stage is Stage.PRICED:
        now = max(draft.now, draft.account.funded_at or draft.now)
        if draft.account.insured:
            follow_cover(draft, now)
        allocate(draft, draft.account.balance_cents, now)
        request_withdrawals(draft)
    refund_unused(draft)


def allocate(draft: Draft, available_cents: int, now: datetime) -> int:
    """Give whole shares in order; what does not suffice for one passes on to the next (contract rule 2).

    First come treatments given unpaid, then sessions that are held, or were released for want of money, in order of
    their start. One that waits for an authorization gets nothing, and one that costs nothing waits for nothing. What a
    session could have that is overdue by the clock alone, because its timer waits for a backlog to be read, is put by
    for it: it will be told overdue first and be paid then, as without the wait.

    Args:
        available_cents: at most the balance.
        now: when the money was there.

    Returns:
        What is left of the money: what is put by is gone, too.
    """

    def rank(share: Share) -> tuple[bool, datetime, int]:
        return not share.owing, share.starts_at, share.number

    for share in sorted((s for s in draft.account.shares if s.may_be_paid(now)), key=rank):
        if share.price_cents > available_cents:
            continue
        if not (share.awaits_deadline and now > share.due_at):  # else its timer is behind
            pay(draft, share)
        available_cents -= share.price_cents
    return available_cents
