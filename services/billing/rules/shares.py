"""What can be done with a session's share: require its money, grant it, earn it, return it to the balance. Pure.

Why it is done stands in `on_booking`, `coverage`, `settlement` and `withdrawals`.
"""

from services.billing.account import ledger
from services.billing.account.account import Account
from services.billing.account.ledger import EntryKind
from services.billing.account.pricing import share_cents
from services.billing.account.share import Share
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import offset_dispute, promise_refund
from shared.contract.billing import PrepaymentRequired, PrepaymentSatisfied
from shared.contract.closed_sets import Basis, Needs, Payer, RefundReason, SessionState
from shared.contract.topics import CURRENCY


def require(draft: Draft, share: Share) -> None:
    """Keep a share and publish what it waits for; nothing, where it is covered without a copay."""
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
    """Tell booking that a session is satisfied: by the basis that it has already (waived), else by what it costs."""
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
    """Move a share's price from the balance to the session, and grant it; of a given treatment, earn it at once."""
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
    """Move all money of a session to an account: revenue, or fees."""
    if share.prepaid_cents:
        kind = EntryKind.RECOGNIZED if account == ledger.REVENUE else EntryKind.KEPT
        draft.post(kind, *ledger.move(ledger.PREPAID, account, share.prepaid_cents, share.session_id))
        draft.put(share._replace(prepaid_cents=0))


def return_to_balance(draft: Draft, share: Share, fee_cents: int = 0) -> Share:
    """Return a session's money to the balance, less a fee; nothing satisfies the session any more.

    Disputed money is offset first. Then what a request wanted of this session is refunded, as far as the balance goes.

    Args:
        fee_cents: what the clinic keeps of it, at most all.
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
        offset_dispute(draft)
        promise_refund(draft, min(wished, draft.account.balance_cents), RefundReason.REQUESTED)
    return free


def charged(account: Account, share: Share) -> Share:
    """A share at what it costs whoever pays now. It stays as it was if it is over, or was refunded in part."""
    over = share.state not in (SessionState.HELD, SessionState.RELEASED) or share.refunded_cents > 0
    if share.insured == account.insured or over:
        return share
    assert account.payer is not None
    cents = share_cents(account.agreed_terms, account.package, account.payer, share.number)
    return share._replace(insured=account.insured, price_cents=cents or 0, cover=None)


def follow_state(draft: Draft, share: Share) -> None:
    """Move the money of a session that is over to where its end sends it; not before booking has answered."""
    terms = draft.account.terms
    if share.unanswered or share.basis is None or terms is None:
        return
    match share.state:
        case SessionState.COMPLETED:
            earn(draft, share, ledger.REVENUE)
        case SessionState.MISSED if terms.keeps_missed:
            earn(draft, share._replace(fee_cents=share.prepaid_cents), ledger.FEES)
        case SessionState.MISSED:
            return_to_balance(draft, share, terms.missed_fee_cents)
        case SessionState.CANCELLED:
            return_to_balance(draft, share, share.fee_cents)
        case SessionState.RELEASED:
            return_to_balance(draft, share)
        case SessionState.HELD | SessionState.CONFIRMED | SessionState.CHECKED_IN:
            pass
