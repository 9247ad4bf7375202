"""Facts from the floor: the patient checked in, was treated, or did not come. Pure."""

from datetime import timedelta
from typing import Final

from services.booking.rules.course import Session
from services.booking.rules.draft import Draft
from shared.contract.booking import SessionCheckInRefused
from shared.contract.clinic import PatientCheckedIn, PatientMissed, TreatmentCompleted
from shared.contract.closed_sets import Refusal, SessionState

CHECK_IN_OPENS: Final = timedelta(hours=12)
"""Check-in is possible from this long before the start until the end (contract rule 2)."""


def on_checked_in(draft: Draft, fact: PatientCheckedIn, session: Session) -> None:
    """Check a confirmed session in from 12 hours before its start until its end, else say why not.

    Who comes unpaid is remembered, and checked in when the grant comes.
    """
    if fact.starts_at is not None and fact.starts_at != session.starts_at:
        draft.change(session, SessionCheckInRefused, reason=Refusal.STALE)
    elif draft.now < session.starts_at - CHECK_IN_OPENS:
        draft.change(session, SessionCheckInRefused, reason=Refusal.TOO_EARLY)
    elif session.state is SessionState.CONFIRMED and draft.now <= session.ends_at:
        draft.move(session, SessionState.CHECKED_IN)
    elif session.state in (SessionState.HELD, SessionState.RELEASED):
        draft.change(session._replace(here_at=fact.at), SessionCheckInRefused, reason=Refusal.NOT_PAID)
    else:
        draft.change(session, SessionCheckInRefused, reason=Refusal.WRONG_STATE)


def on_completed(draft: Draft, fact: TreatmentCompleted, session: Session) -> None:
    """Complete a session, once, from any state; a person hears of one that was neither confirmed nor checked in."""
    if session.state is SessionState.COMPLETED:
        draft.refuse(Refusal.WRONG_STATE, "the session is completed already")
        return
    if session.state not in (SessionState.CHECKED_IN, SessionState.CONFIRMED):
        draft.raise_attention("unexpected_completion", session.session_id, f"completed while {session.state}")
    draft.move(
        session,
        SessionState.COMPLETED,
        started_at=fact.started_at,
        ended_at=fact.ended_at,
        services=fact.services,
    )


def on_missed(draft: Draft, fact: PatientMissed, session: Session) -> None:
    """Mark a session that is held or confirmed as missed, unless the fact is about another time of it."""
    if fact.starts_at is not None and fact.starts_at != session.starts_at:
        draft.refuse(Refusal.STALE, "the session has another time")
    elif session.state in (SessionState.HELD, SessionState.CONFIRMED):
        draft.move(session, SessionState.MISSED)
    else:
        draft.refuse(Refusal.WRONG_STATE, f"a session that is {session.state} cannot be missed")
