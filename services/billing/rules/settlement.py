"""Where a course's money goes: to sessions in order of their start, and at last back. Pure.

`settle` runs after every message and depends on facts and their instants only, never on the order in which they were
heard: that is why payments, releases, cancellations and authorizations may cross.
"""

from datetime import datetime

from services.billing.account.account import Stage
from services.billing.account.share import Share
from services.billing.rules.coverage import follow_cover
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import give_back
from services.billing.rules.shares import pay
from services.billing.rules.withdrawals import ask_back, make_up


def settle(draft: Draft) -> None:
    """Make up for what has left, cover and allocate, ask for grants back, then see what goes back and when."""
    if draft.account.disputed_cents:
        make_up(draft)
    if draft.account.stage is Stage.PRICED:
        now = max(draft.now, draft.account.funded_at or draft.now)
        if draft.account.insured:
            follow_cover(draft, now)
        allocate(draft, draft.account.balance_cents, now)
        ask_back(draft)
    give_back(draft)


def allocate(draft: Draft, available_cents: int, now: datetime) -> int:
    """Give whole shares in order, and stop at the first that the money does not cover: no later one is preferred.

    First come treatments given unpaid, then sessions that are on time, then late ones (overdue, or of a hold that ran
    out), each in order of their start. Late is judged by the clock, not by what booking has told: its release and the
    money may cross. A session that is overdue by the clock alone, because its timer waits for a backlog to be read,
    holds up those behind it: it will be told overdue first and then be paid late, as without the wait. One that waits
    for an authorization holds up nobody, and one that costs nothing waits for nobody.

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

    short = False
    for share in sorted((s for s in account.shares if s.may_be_paid(now)), key=rank):
        if share.awaits_deadline and now > share.due_at:  # its timer is behind
            break
        short = short or share.price_cents > available_cents
        if short and share.price_cents:
            continue
        pay(draft, share, now)
        available_cents -= share.price_cents
    return available_cents
