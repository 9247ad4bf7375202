"""Taking back what satisfied a session: booking is asked first, and money moves after its answer only. Pure.

Why it is taken back: a refund was asked for, money left by itself (a chargeback), an authorization no longer covers the
session, or somebody else pays. Booking answers `unconfirmed`: held again, waiting for what it needs now; or
`withdrawal_refused`: the patient is in the chair, or the session is over (contract rule 5).
"""

from services.billing.account.share import Share
from services.billing.rules.coverage import ask
from services.billing.rules.draft import Draft
from services.billing.rules.refunds import recover
from services.billing.rules.shares import follow_state, take_back
from shared.contract.billing import PrepaymentWithdrawn
from shared.contract.booking import SessionUnconfirmed, SessionWithdrawalRefused
from shared.contract.closed_sets import ReversalReason, SessionState, WithdrawalReason


def ask_back(draft: Draft) -> None:
    """Ask booking for each grant that shall come back, as soon as it has confirmed it."""
    for share in draft.account.shares:
        if share.withdrawal is None or share.unanswered:
            continue
        if share.state is not SessionState.CONFIRMED:
            _give_up(draft, share, share.withdrawal)
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


def _give_up(draft: Draft, share: Share, reason: WithdrawalReason) -> None:
    """The session has begun or is over: what satisfied it stays, and a person hears what was meant."""
    draft.put(share._replace(withdrawal=None, refunding_cents=0))
    draft.raise_attention("withdrawal_refused", share.session_id, f"{reason}: the session is {share.state}")


def make_up(draft: Draft) -> None:
    """For money that left by itself: use the balance, then take sessions back, the latest first."""
    recover(draft)
    account = draft.account
    coming = sum(s.prepaid_cents - s.refunding_cents for s in account.shares if s.withdrawal is not None)
    missing = account.disputed_cents - coming
    chargeback = any(reversal.reason is ReversalReason.CHARGEBACK for reversal in account.reversals)
    reason = WithdrawalReason.CHARGEBACK if chargeback else WithdrawalReason.REFUND
    for share in sorted(account.shares, key=lambda s: (s.starts_at, s.number), reverse=True):
        if missing > 0 and share.prepaid_cents and share.may_be_asked_back:
            draft.put(share._replace(withdrawal=reason))
            missing -= share.prepaid_cents


def on_unconfirmed(draft: Draft, fact: SessionUnconfirmed, share: Share) -> None:
    """The place is held again: its money moves, and it waits for what it needs now."""
    if _was_asked(draft, fact, share):
        _begin_again(draft, share)


def _begin_again(draft: Draft, share: Share) -> None:
    share = take_back(draft, share)
    asked_at = draft.message.time  # its grace counts from here
    due_at = draft.account.agreed_terms.due_at(share.starts_at, asked_at)
    ask(draft, share._replace(asked_at=asked_at, due_at=due_at, overdue=False))


def on_withdrawal_refused(draft: Draft, fact: SessionWithdrawalRefused, share: Share) -> None:
    """Too late: the money stays, or goes where the session's end sends it.

    One that was missed and then moved is held without the grant, too.
    """
    if not _was_asked(draft, fact, share):
        return
    if share.state is SessionState.HELD:
        _begin_again(draft, share)
        return
    follow_state(draft, draft.put(share._replace(withdrawal=None)))
    kept = draft.account.share(share.session_id)
    if kept is not None and kept.basis is not None and share.withdrawal is not None:
        _give_up(draft, kept, share.withdrawal)


def _was_asked(draft: Draft, fact: SessionUnconfirmed | SessionWithdrawalRefused, share: Share) -> bool:
    if share.asked_back and fact.grant == share.granted:
        return True
    draft.raise_attention("unexpected_withdrawal_answer", share.session_id, f"{fact.type} for grant {fact.grant}")
    return False
