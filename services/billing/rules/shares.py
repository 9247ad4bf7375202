"""What can be done with a session's share: ask for its money, grant it, earn it, take it back. Pure.

Why it is done stands in `on_booking`, `coverage`, `settlement` and `withdrawals`.
"""

from services.billing.account import ledger
from services.billing.account.account import Account
from services.billing.account.ledger import EntryKind
from services.billing.account.pricing import share_cents
from services.billing.account.share import Share
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import recover, refund
from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied
from shared.contract.closed_sets import Basis, Needs, Payer, RefundReason, SessionState
from shared.contract.topics import CURRENCY


def require(draft: Draft, share: Share) -> None:
    """Keep a share and tell what it waits for; one that is covered without a copay waits for nothing."""
    draft.put(share)
    covered = share.insured and share.cover is not None
    if covered and share.price_cents == 0:
        return
    draft.events.append(
        PrepaymentRequired(
            course_id=draft.account.course_id,
            session_id=share.session_id,
            patient_id=draft.account.patient_id or "",
            needs=Needs.AUTHORIZATION if share.insured and not covered else Needs.MONEY,
            amount_cents=share.price_cents,
            currency=CURRENCY,
            due_at=share.due_at,
            estimate_id=str(draft.account.course_id) if draft.account.payer is Payer.SELF_PAY else None,
        )
    )


def grant(draft: Draft, share: Share) -> None:
    """Tell booking that a session is satisfied: waived where that is its basis already, else by what it costs."""
    by_price = Basis.FREE if share.price_cents == 0 else Basis.PAID
    basis = share.basis or (Basis.INSURED if share.insured else by_price)
    number = share.granted + 1
    answered = number if number <= share.foretold else share.answered
    granted = draft.put(share._replace(basis=basis, granted=number, answered=answered))
    draft.events.append(
        PrepaymentSatisfied(
            course_id=draft.account.course_id,
            session_id=share.session_id,
            grant=granted.granted,
            basis=basis,
            amount_cents=share.price_cents,
        )
    )


def pay(draft: Draft, share: Share) -> None:
    """Move a share's price from the balance to the session; what has not been given yet is granted to booking."""
    paid = share._replace(prepaid_cents=share.price_cents)
    if share.price_cents:
        postings = ledger.move(ledger.BALANCE, ledger.PREPAID, share.price_cents, share.session_id)
        draft.post(EntryKind.ALLOCATED, *postings)
    if share.owing:
        paid = draft.put(paid._replace(basis=Basis.INSURED if share.insured else Basis.PAID))
        earn(draft, paid, ledger.REVENUE)
    else:
        grant(draft, paid)


def earn(draft: Draft, share: Share, account: str) -> None:
    """Move a session's money to revenue or fees, where there is any."""
    if share.prepaid_cents:
        kind = EntryKind.RECOGNIZED if account == ledger.REVENUE else EntryKind.KEPT
        draft.post(kind, *ledger.move(ledger.PREPAID, account, share.prepaid_cents, share.session_id))
        draft.put(share._replace(prepaid_cents=0))


def take_back(draft: Draft, share: Share, fee_cents: int = 0) -> Share:
    """Move a session's money back to the balance, less a fee; it waits for money again.

    What was to be refunded of it goes to the patient, unless it makes up for money that has left already.
    """
    fee = min(fee_cents, share.prepaid_cents)
    returned = share.prepaid_cents - fee
    if fee:
        draft.post(EntryKind.KEPT, *ledger.move(ledger.PREPAID, ledger.FEES, fee, share.session_id))
    if returned:
        postings = ledger.move(ledger.PREPAID, ledger.BALANCE, returned, share.session_id)
        draft.post(EntryKind.RETURNED, *postings)
    wished = min(share.refunding_cents, returned)
    free = share._replace(basis=None, prepaid_cents=0, cover=None, withdrawal=None, refunding_cents=0, fee_cents=fee)
    free = draft.put(charged(draft.account, free))
    if wished:
        recover(draft)
        refund(draft, min(wished, draft.account.balance_cents), RefundReason.REQUESTED)
    return free


def charged(account: Account, share: Share) -> Share:
    """A share that nothing satisfies, at what it costs whoever pays now."""
    over = share.state not in (SessionState.HELD, SessionState.RELEASED) or share.refunded_cents > 0
    if share.insured == account.insured or over:
        return share
    assert account.payer is not None
    cents = share_cents(account.agreed_terms, account.package, account.payer, share.number)
    return share._replace(insured=account.insured, price_cents=cents or 0, cover=None)


def follow_state(draft: Draft, share: Share) -> None:
    """Move the money of a session that is over; nothing while booking still owes an answer."""
    terms = draft.account.terms
    if share.unanswered or share.basis is None or terms is None:
        return
    match share.state:
        case SessionState.COMPLETED:
            earn(draft, share, ledger.REVENUE)
        case SessionState.MISSED if terms.keeps_missed:
            earn(draft, share._replace(fee_cents=share.prepaid_cents), ledger.FEES)
        case SessionState.MISSED:
            take_back(draft, share, terms.missed_fee_cents)
        case SessionState.CANCELLED:
            take_back(draft, share, share.fee_cents)
        case SessionState.RELEASED:
            take_back(draft, share)
        case SessionState.HELD | SessionState.CONFIRMED | SessionState.CHECKED_IN:
            pass
