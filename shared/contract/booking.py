"""What booking tells on `booking.events`."""

from uuid import UUID

from shared.contract.clinic import Insurance, Service
from shared.contract.closed_sets import By, ClosedReason, Payer, Refusal, ReleaseReason, SessionState, WithdrawalReason
from shared.contract.fields import Id, Instant, Name
from shared.contract.register import CourseEvent, Part


class BookedSession(Part):
    """One session as booking knows it; `version` counts up with every change of it."""

    session_id: UUID
    number: int
    of: int
    state: SessionState
    starts_at: Instant
    ends_at: Instant
    time_zone: str
    chair: str
    provider: str
    version: int


class CourseAccepted(CourseEvent, type="booking.course.accepted.v1", topic="booking.events"):
    """Every session of the course has a chair and a provider."""

    patient_id: Id
    companions: tuple[Id, ...]
    location: Name
    treatment: Name
    payer: Payer
    insurance: Insurance | None = None
    package: Name | None = None
    hold_expires_at: Instant
    sessions: tuple[BookedSession, ...]


class CourseChanged(CourseAccepted, type="booking.course.changed.v1", topic="booking.events"):
    """The course after a change, whole."""


class Conflict(Part):
    """One reason why a course cannot be held; without a session it concerns the whole request."""

    session_id: UUID | None = None
    code: Refusal


class Alternative(Part):
    """Free starts near one that is taken."""

    session_id: UUID
    starts_at: tuple[Instant, ...]


class CourseRejected(CourseEvent, type="booking.course.rejected.v1", topic="booking.events"):
    """Nothing of the course is held; `code` is the first conflict's."""

    code: Refusal
    detail: str
    conflicts: tuple[Conflict, ...]
    alternatives: tuple[Alternative, ...] | None = None
    nearest_start: Instant | None = None


class CourseCompleted(CourseEvent, type="booking.course.completed.v1", topic="booking.events"):
    """Every session has ended, at least one of them completed."""

    sessions_completed: int


class CourseClosed(CourseEvent, type="booking.course.closed.v1", topic="booking.events"):
    """Every session has ended, none of them completed."""

    reason: ClosedReason


class SessionEvent(BookedSession, CourseEvent):
    """A session after a change, with what other services need to know of its course."""

    patient_id: Id
    companions: tuple[Id, ...]
    location: Name
    treatment: Name


class SessionConfirmed(SessionEvent, type="booking.session.confirmed.v1", topic="booking.events"):
    """The answer to a grant: the place is the patient's."""

    grant: int


class SessionUnconfirmed(SessionEvent, type="booking.session.unconfirmed.v1", topic="booking.events"):
    """The answer to a withdrawal: held again, waiting for money or cover."""

    grant: int
    reason: WithdrawalReason


class SessionWithdrawalRefused(SessionEvent, type="booking.session.withdrawal_refused.v1", topic="booking.events"):
    """The answer to a withdrawal that came too late: the patient is already in the chair."""

    grant: int
    reason: Refusal


class SessionRescheduled(SessionEvent, type="booking.session.rescheduled.v1", topic="booking.events"):
    """The session has another time; payment stays with it."""

    previous_starts_at: Instant
    by: By


class SessionCancelled(SessionEvent, type="booking.session.cancelled.v1", topic="booking.events"):
    """The session will not happen by somebody's wish; its chair is free."""

    by: By


class SessionReleased(SessionEvent, type="booking.session.released.v1", topic="booking.events"):
    """The place was given up; `grant` is the last that booking had heard of (0: none)."""

    grant: int
    reason: ReleaseReason


class SessionCheckedIn(SessionEvent, type="booking.session.checked_in.v1", topic="booking.events"):
    """The patient passed the gate."""


class SessionCheckInRefused(SessionEvent, type="booking.session.check_in_refused.v1", topic="booking.events"):
    """The patient is here but may not be treated yet."""

    reason: Refusal


class SessionCompleted(SessionEvent, type="booking.session.completed.v1", topic="booking.events"):
    """The treatment was given; start and stop of the treatment itself."""

    started_at: Instant
    ended_at: Instant
    services: tuple[Service, ...] | None = None


class SessionMissed(SessionEvent, type="booking.session.missed.v1", topic="booking.events"):
    """The patient did not come."""


class RequestRejected(CourseEvent, type="booking.request.rejected.v1", topic="booking.events"):
    """A request or fact about a course was refused; `request_id` is its ce_id."""

    request_id: str
    code: Refusal
    detail: str
