"""Grants are withdrawn: booking is asked first, and money moves after its answer only (contract rule 5). Pure.

A withdrawal is wanted because a refund was requested, money left by itself (a chargeback), an authorization no longer
covers the session, or somebody else pays. Booking answers `unconfirmed`: the session is reopened, held and waiting for
what it needs now; or `withdrawal_refused`: the patient is in the chair, or the session is over.
"""

from services.billing.account.share import Share
from services.billing.rules.coverage import require_as_covered
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import offset_dispute
from services.billing.rules.shares import follow_state, return_to_balance
from shared.contract.billing import PrepaymentWithdrawn
from shared.contract.booking import SessionUnconfirmed, SessionWithdrawalRefused
from shared.contract.closed_sets import ReversalReason, SessionState, WithdrawalReason


def request_withdrawals(draft: Draft) -> None:
    """Ask booking for each grant that shall be withdrawn, as soon as it has answered the grant itself.

    A session that has begun or is over by then keeps it.
    """
    for share in draft.account.shares:
        if share.withdrawal is None or share.unanswered:
            continue
        if share.state is not SessionState.CONFIRMED:
            _abandon_withdrawal(draft, share, share.withdrawal)
            continue
        draft.put(share._replace(withdrawn=share.granted))
        draft.events.append(
            PrepaymentWithdrawn(
                course_id=draft.account.course_id,
                session_id=share.session_id,
                grant=share.granted,
                reason=share.withdrawal,
            )
        )


def _abandon_withdrawal(draft: Draft, share: Share, reason: WithdrawalReason) -> None:
    """Keep what satisfies a session that has begun or is over, and leave the reason of the withdrawal to a person."""
    draft.put(share._replace(withdrawal=None, refunding_cents=0))
    draft.raise_attention("withdrawal_refused", share.session_id, f"{reason}: the session is {share.state}")


def recoup_dispute(draft: Draft) -> None:
    """Make up for disputed money: by the balance, then by withdrawing paid sessions, the latest first.

    What withdrawals under way will return counts, but for what of it was requested as a refund.
    """
    offset_dispute(draft)
    account = draft.account
    coming = sum(s.prepaid_cents - s.refunding_cents for s in account.shares if s.withdrawal is not None)
    missing = account.disputed_cents - coming
    chargeback = any(reversal.reason is ReversalReason.CHARGEBACK for reversal in account.reversals)
    reason = WithdrawalReason.CHARGEBACK if chargeback else WithdrawalReason.REFUND
    for share in sorted(account.shares, key=lambda s: (s.starts_at, s.number), reverse=True):
        if missing > 0 and share.prepaid_cents and share.may_be_withdrawn:
            draft.put(share._replace(withdrawal=reason))
            missing -= share.prepaid_cents


def on_unconfirmed(draft: Draft, fact: SessionUnconfirmed, share: Share) -> None:
    """The withdrawal was answered, and the place is held: reopen the session."""
    if _was_requested(draft, fact, share):
        _reopen(draft, share)


def _reopen(draft: Draft, share: Share) -> None:
    """Return a session's money, and require what it needs now, with a grace of its own."""
    share = return_to_balance(draft, share)
    asked_at = draft.message.time
    due_at = draft.account.agreed_terms.due_at(share.starts_at, asked_at)
    require_as_covered(draft, share._replace(asked_at=asked_at, due_at=due_at, overdue=False))


def on_withdrawal_refused(draft: Draft, fact: SessionWithdrawalRefused, share: Share) -> None:
    """The withdrawal was refused: the money stays, or goes where the session's end sends it.

    One that was missed and then moved is held without the grant: it is reopened, too.
    """
    if not _was_requested(draft, fact, share):
        return
    if share.state is SessionState.HELD:
        _reopen(draft, share)
        return
    follow_state(draft, draft.put(share._replace(withdrawal=None)))
    kept = draft.account.share(share.session_id)
    if kept is not None and kept.basis is not None and share.withdrawal is not None:
        _abandon_withdrawal(draft, kept, share.withdrawal)


def _was_requested(draft: Draft, fact: SessionUnconfirmed | SessionWithdrawalRefused, share: Share) -> bool:
    if share.withdrawal_open and fact.grant == share.granted:
        return True
    draft.raise_attention("unexpected_withdrawal_answer", share.session_id, f"{fact.type} for grant {fact.grant}")
    return False
