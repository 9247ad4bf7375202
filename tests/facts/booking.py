"""What booking tells."""

from datetime import datetime, timedelta
from typing import Any

from shared.contract.booking import (
    BookedSession,
    Conflict,
    CourseAccepted,
    CourseChanged,
    CourseRejected,
    SessionCancelled,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
    SessionWithdrawalRefused,
)
from shared.contract.clinic import Insurance
from shared.contract.closed_sets import By, Payer, Refusal, ReleaseReason, SessionState, WithdrawalReason
from shared.contract.register import EventData
from tests.facts.course import COURSE, DAY, HOUR, session_id
from tests.facts.infusions import T0, begins_at
from tests.facts.texted_course import COURSE_ID, MONDAY, PATIENT, id_of, start_of


def booked(number: int, of: int, state: SessionState, version: int = 1, at: datetime | None = None) -> dict[str, Any]:
    """The fields of a session as booking tells them."""
    start = at or begins_at(number)
    return {
        "session_id": session_id(number),
        "number": number,
        "of": of,
        "state": state,
        "starts_at": start,
        "ends_at": start + 2 * HOUR,
        "time_zone": "America/Chicago",
        "chair": "1",
        "provider": "dana",
        "version": version,
    }


def accepted(of: int = 2, treatment: str = "infusion", package: str | None = None, **told: Any) -> CourseAccepted:
    """The course, held for three days."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "patient_id": "p-1",
        "companions": (),
        "location": "carbondale",
        "treatment": treatment,
        "payer": Payer.SELF_PAY,
        "package": package,
        "hold_expires_at": T0 + 3 * DAY,
        "sessions": tuple(BookedSession(**booked(number, of, SessionState.HELD)) for number in range(1, of + 1)),
    }
    return CourseAccepted(**(fields | told))


def insured(of: int = 2, treatment: str = "spray", plan: str = "Good Health", **told: Any) -> CourseAccepted:
    """The course of a patient whose insurer is asked."""
    return accepted(of, treatment, payer=Payer.INSURANCE, insurance=Insurance(plan=plan), **told)


def changed(of: int = 2, **told: Any) -> CourseChanged:
    """The course after a change, whole."""
    return CourseChanged.model_validate(accepted(of, **told).model_dump())


_STATE: dict[type[SessionEvent], SessionState] = {
    SessionConfirmed: SessionState.CONFIRMED,
    SessionReleased: SessionState.RELEASED,
    SessionCancelled: SessionState.CANCELLED,
    SessionMissed: SessionState.MISSED,
    SessionCompleted: SessionState.COMPLETED,
    SessionRescheduled: SessionState.HELD,
    SessionUnconfirmed: SessionState.HELD,
    SessionWithdrawalRefused: SessionState.CHECKED_IN,
}


def told(event: type[SessionEvent], number: int, at: datetime | None = None, **more: Any) -> SessionEvent:
    """What booking tells of a session."""
    state = more.pop("state", _STATE[event])
    start = at or begins_at(number)
    default: dict[type[SessionEvent], dict[str, Any]] = {
        SessionCancelled: {"by": By.PATIENT},
        SessionCompleted: {"started_at": start, "ended_at": start + HOUR},
        SessionRescheduled: {"by": By.PATIENT, "previous_starts_at": begins_at(number)},
    }
    course = {"course_id": COURSE, "patient_id": "p-1", "companions": (), "location": "x", "treatment": "infusion"}
    return event(**(booked(number, 2, state, 2, start) | course | default.get(event, {}) | more))


def confirmed(number: int, grant: int = 1, **more: Any) -> SessionEvent:
    """Booking's yes to a grant."""
    return told(SessionConfirmed, number, grant=grant, **more)


def released(number: int, reason: ReleaseReason, grant: int = 0, **more: Any) -> SessionEvent:
    """Booking gave the place up, or answers a grant with no."""
    return told(SessionReleased, number, grant=grant, reason=reason, **more)


def unconfirmed(number: int, grant: int = 1, reason: WithdrawalReason = WithdrawalReason.REFUND) -> SessionEvent:
    """Booking gives a grant back: the place is held again."""
    return told(SessionUnconfirmed, number, grant=grant, reason=reason)


def kept(number: int, grant: int = 1, state: SessionState = SessionState.CHECKED_IN) -> SessionEvent:
    """Booking does not give a grant back."""
    return told(SessionWithdrawalRefused, number, grant=grant, reason=Refusal.WRONG_STATE, state=state)


def session_fields(number: int, state: SessionState, version: int, start: datetime | None = None) -> dict[str, Any]:
    """A session's fields as booking tells them."""
    start = start or start_of(number)
    return {
        "session_id": id_of(number),
        "number": number,
        "of": 6,
        "state": state,
        "starts_at": start,
        "ends_at": start + timedelta(hours=2),
        "time_zone": "America/Chicago",
        "chair": "A",
        "provider": "Kim",
        "version": version,
    }


def course_accepted(*numbers: int, location: str = "stella", companions: tuple[str, ...] = ()) -> CourseAccepted:
    """The course with these sessions, all held."""
    return CourseAccepted(
        course_id=COURSE_ID,
        patient_id=PATIENT,
        companions=companions,
        location=location,
        treatment="ketamine_induction",
        payer=Payer.SELF_PAY,
        hold_expires_at=MONDAY + timedelta(days=2),
        sessions=tuple(BookedSession(**session_fields(n, SessionState.HELD, 1)) for n in numbers),
    )


def session_event(
    event: type[SessionEvent],
    number: int,
    state: SessionState,
    version: int,
    start: datetime | None = None,
    companions: tuple[str, ...] = (),
    **told: Any,
) -> SessionEvent:
    """An event about one session."""
    return event(
        course_id=COURSE_ID,
        patient_id=PATIENT,
        companions=companions,
        location="stella",
        treatment="ketamine_induction",
        **session_fields(number, state, version, start),
        **told,
    )


def session_confirmed(number: int = 1, version: int = 2, start: datetime | None = None, **more: Any) -> SessionEvent:
    """Billing's grant is answered with yes."""
    return session_event(SessionConfirmed, number, SessionState.CONFIRMED, version, start, grant=1, **more)


def session_moved(start: datetime, version: int = 3, number: int = 1, **more: Any) -> SessionEvent:
    """The patient wanted another time than the story's, and has it."""
    told: dict[str, Any] = {"previous_starts_at": start_of(number), "by": By.PATIENT}
    return session_event(SessionRescheduled, number, SessionState.CONFIRMED, version, start, **told, **more)


def session_cancelled(number: int = 1, version: int = 3, start: datetime | None = None, **more: Any) -> SessionEvent:
    """The patient gave a session up."""
    return session_event(SessionCancelled, number, SessionState.CANCELLED, version, start, by=By.PATIENT, **more)


def session_released(number: int = 1, version: int = 2) -> SessionEvent:
    """Nobody paid while the place was held."""
    told: dict[str, Any] = {"grant": 0, "reason": ReleaseReason.HOLD_EXPIRED}
    return session_event(SessionReleased, number, SessionState.RELEASED, version, **told)


def session_completed(number: int, version: int = 4) -> SessionEvent:
    """An hour of treatment."""
    told = {"started_at": start_of(number), "ended_at": start_of(number) + timedelta(hours=1)}
    return session_event(SessionCompleted, number, SessionState.COMPLETED, version, **told)


def by_insurance(of: int = 1) -> CourseAccepted:
    return changed(of, treatment="spray", payer=Payer.INSURANCE, insurance={"plan": "Good Health"})


def rejected() -> CourseRejected:
    code = Refusal.CHAIR_TAKEN
    return CourseRejected(course_id=COURSE, code=code, detail="", conflicts=(Conflict(code=code),))


def at_albany(of: int = 2, **more: Any) -> EventData:
    """The story's course, as a treatment of the shipped profile `albany`."""
    return accepted(of, treatment="ketamine_induction", **more)
