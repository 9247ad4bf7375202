"""Which sessions an insurer's authorizations cover, and what follows for them. Pure.

Cover is a function of what is known now: of the authorizations, and of the sessions in order of their start. A session
that nothing covers says so when it is booked, and not on its day.
"""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from services.billing.account.account import Account
from services.billing.account.records import Authorization
from services.billing.account.share import Share
from services.billing.account.terms import Terms
from services.billing.rules.draft import Draft
from services.billing.rules.shares import require
from shared.contract.closed_sets import AuthorizationDecision, Basis, SessionState, WithdrawalReason

LAPSED = WithdrawalReason.AUTHORIZATION_LAPSED


def require_as_covered(draft: Draft, *shares: Share) -> None:
    """Require what each of these sessions waits for, as it is covered now."""
    if draft.account.insured:
        for share in shares:
            draft.put(share)
        found = covers(draft.account, max(draft.now, draft.account.funded_at or draft.now))
        shares = tuple(_covered(draft.account, share, found.get(share.session_id)) for share in shares)
    for share in shares:
        require(draft, share)


def _covered(account: Account, share: Share, by: Authorization | None) -> Share:
    """A share with what covers it, at that copay. What was refunded of it counts no more: it takes place after all."""
    reference = by.reference if by is not None else None
    return share._replace(cover=reference, price_cents=copay_cents(account, by), refunded_cents=0)


def follow_cover(draft: Draft, now: datetime) -> None:
    """Cover what can be covered; of what lost its cover, the grant shall be withdrawn."""
    found = covers(draft.account, now)
    for share in draft.account.shares:
        if share.insured:
            _follow(draft, share, found.get(share.session_id), now)


def _follow(draft: Draft, share: Share, by: Authorization | None, now: datetime) -> None:
    reference = by.reference if by is not None else None
    if share.basis is None and (share.wants(now) or share.owing):
        changed = _covered(draft.account, share, by)
        if changed != share and share.state is SessionState.HELD and not share.overdue:
            require(draft, changed)
        else:
            draft.put(changed)
    elif share.basis is Basis.INSURED:
        withdrawal = share.withdrawal
        if reference is None and share.may_be_withdrawn:
            withdrawal = LAPSED
        elif reference is not None and withdrawal is LAPSED and not share.withdrawal_open:
            withdrawal = None
        draft.put(share._replace(cover=reference, withdrawal=withdrawal))


def covers(account: Account, now: datetime) -> Mapping[UUID, Authorization]:
    """Which authorization covers which session: begun ones first, then in order of their start, late ones last.

    Of several authorizations the one that ends first is used first.
    """
    terms = account.agreed_terms
    last = {one.reference: one for one in account.authorizations}
    approved = [one for one in last.values() if one.decision is AuthorizationDecision.APPROVED]
    approved.sort(key=lambda one: (one.valid_through or date.max, one.reference))
    left = {one.reference: one.sessions for one in approved}

    def rank(share: Share) -> tuple[bool, bool, datetime, int]:
        late = share.overdue or (share.awaits_deadline and now > share.due_at)
        return share.state not in (SessionState.CHECKED_IN, SessionState.COMPLETED), late, share.starts_at, share.number

    found: dict[UUID, Authorization] = {}
    for share in sorted((s for s in account.shares if _takes_part(s, now)), key=rank):
        for one in approved:
            if left[one.reference] != 0 and _covers_day(one, terms, share.starts_at):
                found[share.session_id] = one
                count = left[one.reference]
                left[one.reference] = None if count is None else count - 1
                break
    return found


def _takes_part(share: Share, now: datetime) -> bool:
    """Whether a session uses an authorization up: one that was given or has its grant, or that could still have it."""
    if not share.insured or share.state in (SessionState.CANCELLED, SessionState.MISSED):
        return False
    return share.basis is Basis.INSURED or share.owing or share.wants(now)


def _covers_day(one: Authorization, terms: Terms, starts_at: datetime) -> bool:
    day = terms.day(starts_at)
    return (one.valid_from or date.min) <= day <= (one.valid_through or date.max)


def copay_cents(account: Account, by: Authorization | None) -> int:
    """What the patient pays for a session: by the authorization, or where it names nothing, by the clinic's terms."""
    if by is not None and by.copay_cents is not None:
        return by.copay_cents
    return account.agreed_terms.treatment.copay_cents or 0
