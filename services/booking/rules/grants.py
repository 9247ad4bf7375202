"""Money and cover, as billing tells of them: confirm, release, hold again. Pure.

Each grant is answered exactly once, by `confirmed` or by `released`.
"""

from datetime import datetime, timedelta
from typing import Final

from services.booking.chairs.rhythm import rhythm
from services.booking.chairs.seating import Seat, seat
from services.booking.rules.course import Session, TimerKind, visit_of
from services.booking.rules.draft import Draft
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PrepaymentWithdrawn, PricingRejected
from shared.contract.booking import SessionConfirmed, SessionReleased, SessionWithdrawalRefused
from shared.contract.closed_sets import Refusal, ReleaseReason, SessionState

UNREPORTED_AFTER: Final = timedelta(hours=12)
"""A session of which the floor has told nothing this long after its end goes to a person (contract rule 10)."""


def on_satisfied(draft: Draft, fact: PrepaymentSatisfied, session: Session) -> None:
    """Answer a grant exactly once: confirmed, or released because the seat is gone."""
    if fact.grant <= session.grant:
        return  # answered before
    if draft.course.hold_open and _hold_ran_out(draft):
        draft.wait_for_hold()  # too late for this hold, which its timer will release first
        return
    session = session._replace(grant=fact.grant)
    match session.state:
        case SessionState.HELD:
            _confirm(draft, session)
        case SessionState.CONFIRMED | SessionState.CHECKED_IN | SessionState.COMPLETED:
            draft.change(session, SessionConfirmed, grant=fact.grant)
        case SessionState.RELEASED:
            _hold_again(draft, session)
        case SessionState.CANCELLED | SessionState.MISSED:
            draft.change(session, SessionReleased, grant=fact.grant, reason=ReleaseReason.SLOT_TAKEN)


def _hold_ran_out(draft: Draft) -> bool:
    return draft.course.hold_expires_at is not None and draft.now > draft.course.hold_expires_at


def end_hold(draft: Draft) -> None:
    """Decide next what came too late for the hold and so waited for its end."""
    draft.replay[:0] = draft.course.waiting
    draft.course = draft.course._replace(hold_open=False, waiting=())


def _confirm(draft: Draft, session: Session) -> None:
    if draft.course.hold_open:
        draft.course = draft.course._replace(hold_open=False)
        draft.set_timer(TimerKind.HOLD, None)
    draft.set_timer(TimerKind.UNREPORTED, session.ends_at + UNREPORTED_AFTER, session.session_id)
    session = draft.move(session, SessionState.CONFIRMED, grant=session.grant)
    if session.here_at is not None and draft.now <= session.ends_at:
        draft.move(session, SessionState.CHECKED_IN)


def _hold_again(draft: Draft, session: Session) -> None:
    """Late money: take any seat at the same time and confirm it, or say that there is none."""
    if session.starts_at > draft.now:
        visitor = draft.visitor._replace(visit=visit_of(session))
        found = seat(draft.calendar, draft.place, visitor, session.starts_at)
        if isinstance(found, Seat) and not too_close(draft, session, session.starts_at):
            session = session.seated(draft.place, found)
            draft.calendar = draft.calendar.take(draft.taken(session))
            draft.reopen()
            _confirm(draft, session)
            return
    draft.change(session, SessionReleased, grant=session.grant, reason=ReleaseReason.SLOT_TAKEN)


def too_close(draft: Draft, session: Session, starts_at: datetime) -> bool:
    """Whether a session that has no seat would come too close to another, which may have been moved since.

    How far it is from its neighbours does not count: without it they are farther apart.
    """
    protocol, location, others = draft.visitor.protocol, draft.place.location, draft.others(session)
    before = rhythm(protocol, location, others)
    after = rhythm(protocol, location, [*others, (session.session_id, starts_at)])
    return any(clash.code is Refusal.TOO_CLOSE and clash not in before for clash in after)


def on_overdue(draft: Draft, _: PrepaymentOverdue, session: Session) -> None:
    """Release a session that is still held; where its grant came first, nothing changes."""
    if session.state is SessionState.HELD:
        draft.move(session, SessionState.RELEASED, grant=session.grant, reason=ReleaseReason.OVERDUE)


def on_withdrawn(draft: Draft, fact: PrepaymentWithdrawn, session: Session) -> None:
    """Take a confirmation back, unless the patient is already in the chair or the session is over."""
    if session.state is SessionState.CONFIRMED:
        draft.set_timer(TimerKind.UNREPORTED, None, session.session_id)
        draft.move(session, SessionState.HELD, grant=fact.grant, reason=fact.reason)
    else:
        draft.change(session, SessionWithdrawalRefused, grant=fact.grant, reason=Refusal.WRONG_STATE)


def on_unpriced(draft: Draft, _: PricingRejected) -> None:
    """Release what is held of a course that billing cannot price."""
    release_all(draft, ReleaseReason.UNPRICED)


def release_all(draft: Draft, reason: ReleaseReason) -> None:
    """Release every session of the course that is held."""
    for session in draft.course.sessions:
        if session.state is SessionState.HELD:
            draft.move(session, SessionState.RELEASED, grant=session.grant, reason=reason)
