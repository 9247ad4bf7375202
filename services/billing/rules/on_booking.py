"""What follows for the money from booking's events about a course and its sessions. Pure.

The states of sessions are booking's alone, their prices billing's. Booking answers each grant exactly once, by
`confirmed` or by `released` with that grant; until then the session's money does not move (ADR 5).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from services.billing.account.account import Stage
from services.billing.account.pricing import Unpriced, price, share_cents
from services.billing.account.records import FreeVisit, Given
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocation
from services.billing.account.terms import terms_for
from services.billing.rules.coverage import require_as_covered
from services.billing.rules.draft import Draft, TimerKind
from services.billing.rules.settlement import allocate
from services.billing.rules.shares import charged, follow_state, grant, return_to_balance
from shared.contract.billing import PricingRejected
from shared.contract.booking import (
    BookedSession,
    CourseAccepted,
    CourseChanged,
    CourseClosed,
    CourseCompleted,
    CourseRejected,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
)
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import Basis, By, ClosedReason, PricingRefusal, SessionState, WithdrawalReason

NOT_SERVED: Final = Unpriced(PricingRefusal.NO_PRICE, "no clinic that is served has this location")
NOT_SOLD: Final = Unpriced(PricingRefusal.NO_PRICE, "the clinic has no price for this treatment")


def on_requested(draft: Draft, fact: CourseRequested) -> None:
    """Remember the last planned start: money of a rejected course is refunded then."""
    if fact.sessions is not None and draft.account.stage in (Stage.UNKNOWN, Stage.REJECTED):
        planned_until = max(session.starts_at for session in fact.sessions)
        draft.account = draft.account._replace(planned_until=planned_until)


def on_accepted(draft: Draft, fact: CourseAccepted) -> None:
    """Price the course, require each session's money or cover, and allocate what came before.

    A course without a price as a whole is refused: no session of it waits for money.
    """
    if draft.account.stage not in (Stage.UNKNOWN, Stage.REJECTED):
        draft.raise_attention("accepted_again", fact.course_id, "a course that is known was accepted once more")
        return
    draft.set_timer(TimerKind.COURSE, None)
    draft.account = draft.account._replace(
        patient_id=fact.patient_id,
        location=fact.location,
        treatment=fact.treatment,
        package=fact.package,
        payer=fact.payer,
        plan=fact.insurance.plan if fact.insurance is not None else None,
        planned_until=None,
    )
    place = draft.places.get(fact.location)
    if place is None or fact.treatment not in place.tariff.treatments:
        _refuse_price(draft, fact, NOT_SERVED if place is None else NOT_SOLD)
        return
    terms = terms_for(place, fact.treatment, draft.account.plan)
    prices = price(terms, fact.treatment, fact.package, fact.payer, len(fact.sessions))
    if isinstance(prices, Unpriced):
        _refuse_price(draft, fact, prices)
        return
    draft.account = draft.account._replace(stage=Stage.PRICED, terms=terms)
    sessions = sorted(fact.sessions, key=lambda s: s.number)
    if terms.treatment.first_free and _visits_first(draft, place, fact, sessions[0]):
        prices = (0, *prices[1:])
    _expect(draft, sessions, prices)
    _allocate_what_waited(draft)


def _refuse_price(draft: Draft, fact: CourseAccepted, refusal: Unpriced) -> None:
    planned_until = max(session.starts_at for session in fact.sessions)
    draft.account = draft.account._replace(stage=Stage.UNPRICED, planned_until=planned_until)
    draft.events.append(PricingRejected(course_id=fact.course_id, code=refusal.code, detail=refusal.detail))


def _visits_first(draft: Draft, place: PracticeLocation, fact: CourseAccepted, session: BookedSession) -> bool:
    """Whether this is the patient's first visit of its kind at the clinic; if so, it is remembered as that."""
    visit = (place.clinic, fact.patient_id, fact.treatment)
    if visit in draft.known.visited:
        return False
    draft.known = draft.known._replace(visited=draft.known.visited | {visit})
    draft.account = draft.account._replace(free_visits=(FreeVisit(session.session_id, *visit),))
    return True


def _allocate_what_waited(draft: Draft) -> None:
    """Allocate money that came before its course as if the course had come first: each payment at its own time."""
    left = 0
    for payment in draft.account.payments:
        left = allocate(draft, left + payment.left_cents, max(draft.now, payment.heard_at))


def _expect(draft: Draft, sessions: Sequence[BookedSession], prices: Iterable[int]) -> None:
    """Open shares for these sessions: what is free of charge is granted at once, the others wait for money or cover."""
    asked_at, insured = draft.message.time, draft.account.insured
    waiting: list[Share] = []
    for session, cents in zip(sessions, prices, strict=True):
        due = draft.account.agreed_terms.due_at(session.starts_at, asked_at)
        share = Share(session.session_id, session.number, session.starts_at, session.version, cents, asked_at, due)
        share = share._replace(provider=session.provider, insured=insured)
        if cents or insured:
            waiting.append(share)
        else:
            grant(draft, share)
    require_as_covered(draft, *waiting)


def on_rejected(draft: Draft, fact: CourseRejected) -> None:
    """Keep the course's money until its last planned start: until then it may be requested again."""
    if draft.account.stage in (Stage.UNKNOWN, Stage.REJECTED):
        draft.account = draft.account._replace(stage=Stage.REJECTED, rejected_at=draft.now)
        draft.set_timer(TimerKind.COURSE, None)
    else:
        draft.raise_attention("rejected_after_acceptance", fact.course_id, f"the course is {draft.account.stage}")


def on_changed(draft: Draft, fact: CourseChanged) -> None:
    """Follow a change of payer and added sessions, by the course's own terms. What has no price goes to a person."""
    if draft.account.stage is not Stage.PRICED:
        if draft.account.stage is not Stage.UNPRICED:
            draft.raise_attention("changed_without_course", fact.course_id, f"the course is {draft.account.stage}")
        return
    for session in fact.sessions:
        share = draft.account.share(session.session_id)
        if share is not None and session.version > share.version:  # such as a check-in, of which billing does not hear
            draft.put(share._replace(state=session.state, version=session.version))
    plan = fact.insurance.plan if fact.insurance is not None else None
    if (fact.payer, plan) != (draft.account.payer, draft.account.plan):
        _change_payer(draft, fact, plan)
    added = [s for s in sorted(fact.sessions, key=lambda s: s.number) if draft.account.share(s.session_id) is None]
    if added:
        _add(draft, added)


def _change_payer(draft: Draft, fact: CourseChanged, plan: str | None) -> None:
    """Price what is not satisfied for who pays now; grants that the other payer satisfied are withdrawn first."""
    account, place = draft.account, draft.places.get(fact.location)
    terms = account.agreed_terms.with_plan(place.tariff.plan(plan) if place is not None else None)
    bundle = None if account.package is None else terms.treatment.packages.get(account.package)
    count = len(account.shares) if bundle is None else bundle.sessions
    prices = price(terms, fact.treatment, account.package, fact.payer, count)
    if isinstance(prices, Unpriced):
        draft.raise_attention("unpriced_change", fact.course_id, f"{prices.code}: {prices.detail}; it stays as it was")
        return
    draft.account = account._replace(payer=fact.payer, plan=plan, terms=terms)
    ask_for: list[Share] = []
    for share in account.shares:
        as_before = share.insured == draft.account.insured
        if as_before and share.withdrawal is WithdrawalReason.PAYER_CHANGED and not share.withdrawal_open:
            draft.put(share._replace(withdrawal=None))
        elif not as_before and share.basis in (Basis.PAID, Basis.INSURED) and share.may_be_withdrawn:
            draft.put(share._replace(withdrawal=WithdrawalReason.PAYER_CHANGED))
        elif not as_before and share.wants(draft.now):
            changed = charged(draft.account, share)
            ask_for += [changed] if changed.awaits_deadline else []
            draft.put(changed)
    require_as_covered(draft, *ask_for)


def _add(draft: Draft, added: Sequence[BookedSession]) -> None:
    """Expect added sessions at the single price; beyond a package there is none that the patient has agreed to."""
    account = draft.account
    assert account.payer is not None
    cents = share_cents(account.agreed_terms, None, account.payer, added[0].number)
    if account.package is not None or cents is None:
        draft.raise_attention("unpriced_change", account.course_id, f"{len(added)} sessions without a price were added")
    else:
        _expect(draft, added, [cents] * len(added))


def on_ended(draft: Draft, fact: CourseCompleted | CourseClosed) -> None:
    """Let money of a course without a price be refunded now, if the course was cancelled.

    Else it waits for the last planned start. Of a priced course nothing is left to do: its sessions' ends were heard.
    """
    cancelled = isinstance(fact, CourseClosed) and fact.reason is ClosedReason.CANCELLED
    if cancelled and draft.account.stage is Stage.UNPRICED:
        draft.account = draft.account._replace(planned_until=None)


def on_confirmed(draft: Draft, fact: SessionConfirmed, share: Share) -> None:
    """Count the answer to a grant: the place is the patient's, and the money stays with the session."""
    if fact.grant > share.granted:
        draft.put(share._replace(foretold=fact.grant))
    if fact.grant != share.granted or share.basis is None:
        draft.raise_attention("unknown_grant", share.session_id, f"confirmed for grant {fact.grant}")
        return
    follow_state(draft, draft.put(share._replace(answered=fact.grant)))


def on_released(draft: Draft, fact: SessionReleased, share: Share) -> None:
    """Return the session's money, unless a grant or a withdrawal is still on its way to booking, which will answer."""
    if fact.grant > share.granted:
        draft.raise_attention("unknown_grant", share.session_id, f"released for grant {fact.grant}")
        return
    if fact.grant == share.granted and not share.withdrawal_open:
        return_to_balance(draft, share._replace(answered=fact.grant))


def on_cancelled(draft: Draft, fact: SessionCancelled, share: Share) -> None:
    """Return the session's money, less the policy's fee where a patient gives short notice.

    While a grant or a withdrawal is on its way, this waits for booking's answer; without the place there is no fee.
    """
    fee_cents = _late_fee(draft, share) if fact.by is By.PATIENT else 0
    share = draft.put(share._replace(cancelled_by=fact.by, fee_cents=fee_cents))
    if not share.unanswered:
        return_to_balance(draft, share, fee_cents)


def _late_fee(draft: Draft, share: Share) -> int:
    terms, place = draft.account.terms, draft.places.get(draft.account.location or "")
    if terms is None:
        return 0
    fee_cents = terms.late_fee_cents(place.location if place is not None else None, draft.message.time, share.starts_at)
    return min(fee_cents, share.prepaid_cents)


def on_rescheduled(draft: Draft, fact: SessionRescheduled, share: Share) -> None:
    """Require an unpaid session's money by a new deadline; a satisfied session stays so."""
    if share.state is not SessionState.HELD or share.basis is not None or share.overdue:
        return  # paid; or its overdue is on its way to booking, which will release it
    due_at = draft.account.agreed_terms.due_at(share.starts_at, share.asked_at)
    require_as_covered(draft, share._replace(due_at=due_at))


def on_missed(draft: Draft, fact: SessionMissed, share: Share) -> None:
    """Move the session's money as the course's policy says, once no answer of booking is open."""
    follow_state(draft, share)


def on_completed(draft: Draft, fact: SessionCompleted, share: Share) -> None:
    """Earn the money of a treatment that was given. An unpaid one goes to a person; later money pays for it first."""
    given = Given(share.session_id, fact.provider, fact.started_at, fact.ended_at, fact.services)
    draft.account = draft.account._replace(given=(*draft.account.given, given))
    if share.owing:
        draft.raise_attention("unpaid_completion", share.session_id, f"{share.price_cents} cents are open")
    follow_state(draft, share)
