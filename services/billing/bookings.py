"""What follows for the money from what booking tells of a course and its sessions. Pure.

Booking says what a session is, billing says what it is worth. Each grant is answered by booking exactly once, by
`confirmed` or by `released` with that grant; until then its money does not move (contract rule 4).
"""

from datetime import datetime
from typing import Final

from services.billing import ledger
from services.billing.account import Share, Stage
from services.billing.draft import Draft
from services.billing.pricing import Unpriced, due_at, price
from services.billing.profile import MissedPolicy
from services.billing.settlement import allocate, earn, grant, take_back
from shared.contract import (
    CURRENCY,
    BookedSession,
    CourseAccepted,
    CourseChanged,
    CourseClosed,
    CourseCompleted,
    CourseRejected,
    CourseRequested,
    Needs,
    PrepaymentRequired,
    PricingRefusal,
    PricingRejected,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionState,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.decision import Timer

S = SessionState

NOT_SERVED: Final = Unpriced(PricingRefusal.NO_PRICE, "no clinic that is served has this location")


# The course ----------------------------------------------------------------------------------------------------------


def on_requested(draft: Draft, fact: CourseRequested) -> None:
    """Remember the last planned start: money of a rejected course goes back then."""
    if fact.sessions is not None and draft.account.stage in (Stage.UNKNOWN, Stage.REJECTED):
        planned_until = max(session.starts_at for session in fact.sessions)
        draft.account = draft.account._replace(planned_until=planned_until)


def on_accepted(draft: Draft, fact: CourseAccepted) -> None:
    """Price the course whole, ask for each session's money, and put to use what is there already."""
    if draft.account.stage not in (Stage.UNKNOWN, Stage.REJECTED):
        draft.raise_attention("accepted_again", fact.course_id, "a course that is known was accepted once more")
        return
    draft.timers.append(Timer("course", None))
    draft.account = draft.account._replace(
        patient_id=fact.patient_id,
        location=fact.location,
        treatment=fact.treatment,
        package=fact.package,
        payer=fact.payer,
        hold_expires_at=fact.hold_expires_at,
        planned_until=None,
    )
    tariff = draft.tariffs.get(fact.location)
    if tariff is None:
        _refuse_price(draft, fact, NOT_SERVED)
        return
    prices = price(tariff, fact.treatment, fact.package, len(fact.sessions))
    if isinstance(prices, Unpriced):
        _refuse_price(draft, fact, prices)
        return
    draft.account = draft.account._replace(stage=Stage.PRICED, due=tariff.due, missed=tariff.policy.missed)
    for session, cents in zip(sorted(fact.sessions, key=lambda s: s.number), prices, strict=True):
        _expect(draft, session, cents)
    _allocate_what_waited(draft)


def _refuse_price(draft: Draft, fact: CourseAccepted, refusal: Unpriced) -> None:
    planned_until = max(session.starts_at for session in fact.sessions)
    draft.account = draft.account._replace(stage=Stage.UNPRICED, planned_until=planned_until)
    draft.events.append(PricingRejected(course_id=fact.course_id, code=refusal.code, detail=refusal.detail))


def _allocate_what_waited(draft: Draft) -> None:
    """Money that came before its course is put to use as if the course had come first, each payment at its time."""
    left = 0
    for payment in draft.account.payments:
        left = allocate(draft, left + payment.left_cents, max(draft.now, payment.heard_at))


def _expect(draft: Draft, session: BookedSession, cents: int) -> None:
    """Open a session's share: free of charge and satisfied at once, or waiting for its money."""
    asked_at = draft.message.time
    due = _deadline(draft, session.starts_at, asked_at)
    share = Share(session.session_id, session.number, session.starts_at, session.version, cents, asked_at, due)
    if cents == 0:
        grant(draft, share, draft.now)
    else:
        _require(draft, share)


def _deadline(draft: Draft, starts_at: datetime, asked_at: datetime) -> datetime:
    assert draft.account.due is not None  # priced courses have their tariff's
    return due_at(draft.account.due, starts_at, asked_at)


def _require(draft: Draft, share: Share) -> None:
    draft.put(share)
    draft.events.append(
        PrepaymentRequired(
            course_id=draft.account.course_id,
            session_id=share.session_id,
            patient_id=draft.account.patient_id or "",
            needs=Needs.MONEY,
            amount_cents=share.price_cents,
            currency=CURRENCY,
            due_at=share.due_at,
        )
    )


def on_rejected(draft: Draft, fact: CourseRejected) -> None:
    """Keep its money until the last planned start; until then it may be asked for again."""
    if draft.account.stage in (Stage.UNKNOWN, Stage.REJECTED):
        draft.account = draft.account._replace(stage=Stage.REJECTED, rejected_at=draft.now)
        draft.timers.append(Timer("course", None))
    else:
        draft.raise_attention("rejected_after_acceptance", fact.course_id, f"the course is {draft.account.stage}")


def on_changed(draft: Draft, fact: CourseChanged) -> None:
    """Off label both payers pay the same; sessions are added at today's price for one session."""
    if draft.account.stage is not Stage.PRICED:
        if draft.account.stage is not Stage.UNPRICED:
            draft.raise_attention("changed_without_course", fact.course_id, f"the course is {draft.account.stage}")
        return
    draft.account = draft.account._replace(payer=fact.payer)
    added = [s for s in sorted(fact.sessions, key=lambda s: s.number) if draft.account.share(s.session_id) is None]
    if not added:
        return
    tariff = draft.tariffs.get(fact.location)
    prices = price(tariff, fact.treatment, None, len(added)) if tariff is not None else NOT_SERVED
    if draft.account.package is not None or isinstance(prices, Unpriced):
        draft.raise_attention("unpriced_change", fact.course_id, f"{len(added)} sessions without a price were added")
        return
    for session, cents in zip(added, prices, strict=True):
        _expect(draft, session, cents)


def on_ended(draft: Draft, fact: CourseCompleted | CourseClosed) -> None:
    """Nothing by itself: what is over goes back because of how its sessions ended."""


# Its sessions --------------------------------------------------------------------------------------------------------


def on_confirmed(draft: Draft, fact: SessionConfirmed, share: Share) -> None:
    """The answer to a grant: the place is the patient's, and the money stays."""
    if fact.grant != share.granted or share.basis is None:
        draft.raise_attention("unknown_grant", share.session_id, f"confirmed for grant {fact.grant}")
        return
    share = draft.put(share._replace(answered=fact.grant))
    _follow_state(draft, share)


def on_released(draft: Draft, fact: SessionReleased, share: Share) -> None:
    """The place was given up; its money comes back, unless booking has not heard of it yet and so will answer."""
    if fact.grant > share.granted:
        draft.raise_attention("unknown_grant", share.session_id, f"released for grant {fact.grant}")
        return
    if fact.grant == share.granted:
        take_back(draft, share._replace(answered=fact.grant))


def on_cancelled(draft: Draft, fact: SessionCancelled, share: Share) -> None:
    """Its money comes back; where a grant is on its way, with booking's answer."""
    if not share.unanswered:
        take_back(draft, share)


def on_rescheduled(draft: Draft, fact: SessionRescheduled, share: Share) -> None:
    """What is paid stays paid; what is not is due anew. A missed or released one begins again."""
    if share.state is not S.HELD or share.basis is not None or share.overdue:
        return  # paid; or its overdue is on its way to booking, which will release it
    _require(draft, share._replace(due_at=_deadline(draft, share.starts_at, share.asked_at)))


def on_missed(draft: Draft, fact: SessionMissed, share: Share) -> None:
    """The policy of the course says whose the money is, once no answer is open."""
    _follow_state(draft, share)


def on_completed(draft: Draft, fact: SessionCompleted, share: Share) -> None:
    """The treatment was given: its money is earned. Unpaid, a person hears of it, and the next money pays for it."""
    if share.owing:
        draft.raise_attention("unpaid_completion", share.session_id, f"{share.price_cents} cents are open")
    _follow_state(draft, share)


def _follow_state(draft: Draft, share: Share) -> None:
    """Move the money of a session that is over; nothing while booking still owes an answer."""
    if share.unanswered or share.basis is None:
        return
    match share.state:
        case S.COMPLETED:
            earn(draft, share, ledger.REVENUE)
        case S.MISSED:
            if draft.account.missed is MissedPolicy.KEEP:
                earn(draft, share, ledger.FEES)
            else:
                take_back(draft, share)
        case S.CANCELLED:
            take_back(draft, share)
        case S.HELD | S.CONFIRMED | S.CHECKED_IN | S.RELEASED:
            pass


def on_withdrawal_answered(draft: Draft, fact: SessionUnconfirmed | SessionWithdrawalRefused, share: Share) -> None:
    """Billing withdraws nothing yet, so nothing should come."""
    draft.raise_attention("unexpected_withdrawal_answer", share.session_id, f"{fact.type} for grant {fact.grant}")
