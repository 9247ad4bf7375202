"""What booking tells: of the default course (`tests.facts.course`), two sessions that nobody has paid for yet.

Each event has one builder, named as the event; what differs from the default is told by the names of its fields. A
session's `version` is what it has on the usual way: held, confirmed, changed, given.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contract.booking import (
    BookedSession,
    Conflict,
    CourseAccepted,
    CourseChanged,
    CourseRejected,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import Insurance
from shared.contract.closed_sets import By, Payer, Refusal, ReleaseReason, SessionState, WithdrawalReason
from tests.facts.course import COURSE, DAY, HOUR, NOW, PATIENT, session_id, start


def booked_session(number: int = 1, of: int = 2, course: UUID = COURSE, **told: Any) -> BookedSession:
    """A session of a course, held."""
    return BookedSession.model_validate(_booked(number, of, SessionState.HELD, 1, course, told) | told)


def _booked(
    number: int, of: int, state: SessionState, version: int, course: UUID, told: dict[str, Any]
) -> dict[str, Any]:
    starts_at: datetime = told.get("starts_at", start(number))
    return {
        "session_id": session_id(number, course),
        "number": number,
        "of": of,
        "state": state,
        "starts_at": starts_at,
        "ends_at": starts_at + 2 * HOUR,
        "time_zone": "America/Chicago",
        "chair": "A",
        "provider": "dana",
        "version": version,
    }


def _of_session(number: int, state: SessionState, version: int, told: dict[str, Any], **event: Any) -> dict[str, Any]:
    """What every event about a session tells."""
    course: dict[str, Any] = {
        "course_id": COURSE,
        "patient_id": PATIENT,
        "companions": (),
        "location": "stella",
        "treatment": "ketamine_induction",
    }
    return _booked(number, 2, state, version, told.get("course_id", COURSE), told) | course | event | told


def _course(count: int, told: dict[str, Any]) -> dict[str, Any]:
    course = told.get("course_id", COURSE)
    return {
        "course_id": course,
        "patient_id": PATIENT,
        "companions": (),
        "location": "stella",
        "treatment": "ketamine_induction",
        "payer": Payer.SELF_PAY,
        "hold_expires_at": NOW + 3 * DAY,
        "sessions": tuple(booked_session(number, count, course) for number in range(1, count + 1)),
    } | told


def course_accepted(count: int = 2, treatment: str = "ketamine_induction", **told: Any) -> CourseAccepted:
    """The course, held for three days."""
    return CourseAccepted(**_course(count, {"treatment": treatment} | told))


def insured(count: int = 2, treatment: str = "spray", plan: str = "Good Health", **told: Any) -> CourseAccepted:
    """The course of a patient whose insurer is asked."""
    return course_accepted(count, treatment, payer=Payer.INSURANCE, insurance=Insurance(plan=plan), **told)


def course_changed(count: int = 2, **told: Any) -> CourseChanged:
    """The course after a change, whole."""
    return CourseChanged(**_course(count, told))


def insured_since(count: int = 1, treatment: str = "spray", **told: Any) -> CourseChanged:
    """The course of a patient whose insurer is asked from now on."""
    insurance = Insurance(plan="Good Health")
    return course_changed(count, treatment=treatment, payer=Payer.INSURANCE, insurance=insurance, **told)


def at_albany(count: int = 2, **told: Any) -> CourseAccepted:
    """The course, at a place whose shipped profile has a price for each session."""
    return course_accepted(count, location="carbondale", **told)


def course_rejected() -> CourseRejected:
    """The first chair is taken."""
    code = Refusal.CHAIR_TAKEN
    return CourseRejected(course_id=COURSE, code=code, detail="", conflicts=(Conflict(code=code),))


def session_confirmed(number: int = 1, grant: int = 1, **told: Any) -> SessionConfirmed:
    """Booking's yes to a grant."""
    return SessionConfirmed(**_of_session(number, SessionState.CONFIRMED, 2, told, grant=grant))


def session_released(
    number: int = 1, reason: ReleaseReason = ReleaseReason.HOLD_EXPIRED, grant: int = 0, **told: Any
) -> SessionReleased:
    """Booking gave the place up, or answers a grant with no."""
    return SessionReleased(**_of_session(number, SessionState.RELEASED, 2, told, grant=grant, reason=reason))


def session_unconfirmed(
    number: int = 1, grant: int = 1, reason: WithdrawalReason = WithdrawalReason.REFUND, **told: Any
) -> SessionUnconfirmed:
    """Booking gives a grant back: the place is held again."""
    return SessionUnconfirmed(**_of_session(number, SessionState.HELD, 3, told, grant=grant, reason=reason))


def session_withdrawal_refused(
    number: int = 1, grant: int = 1, state: SessionState = SessionState.CHECKED_IN, **told: Any
) -> SessionWithdrawalRefused:
    """Booking does not give a grant back."""
    fields = _of_session(number, state, 3, told, grant=grant, reason=Refusal.WRONG_STATE)
    return SessionWithdrawalRefused(**fields)


def session_rescheduled(number: int = 1, **told: Any) -> SessionRescheduled:
    """The patient wanted another time than the course's, and has it; nobody has paid."""
    previous = start(number)
    fields = _of_session(number, SessionState.HELD, 3, told, previous_starts_at=previous, by=By.PATIENT)
    return SessionRescheduled(**fields)


def session_cancelled(number: int = 1, **told: Any) -> SessionCancelled:
    """The patient gave a session up."""
    return SessionCancelled(**_of_session(number, SessionState.CANCELLED, 3, told, by=By.PATIENT))


def session_checked_in(number: int = 1, **told: Any) -> SessionCheckedIn:
    """The patient passed the gate."""
    return SessionCheckedIn(**_of_session(number, SessionState.CHECKED_IN, 3, told))


def session_missed(number: int = 1, **told: Any) -> SessionMissed:
    """Nobody came."""
    return SessionMissed(**_of_session(number, SessionState.MISSED, 3, told))


def session_completed(number: int = 1, **told: Any) -> SessionCompleted:
    """An hour of treatment."""
    begun = told.get("starts_at", start(number))
    fields = _of_session(number, SessionState.COMPLETED, 4, told, started_at=begun, ended_at=begun + HOUR)
    return SessionCompleted(**fields)
