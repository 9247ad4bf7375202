"""What the clinic asks and tells: of the default course (`tests.facts.course`), two sessions that the patient pays for.

Each event has one builder, named as the event; the few other names say what kind of it is made.
"""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contract.clinic import (
    AuthorizationDecided,
    ContactUpdated,
    CourseCancelRequested,
    CourseChangeRequested,
    CoursePlan,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    PatientUpdated,
    PaymentCaptured,
    PaymentReversed,
    RequestedSession,
    SessionCancelRequested,
    SessionRescheduleRequested,
    Texting,
    TreatmentCompleted,
)
from shared.contract.closed_sets import AuthorizationDecision, By, ContactKind, Method, Payer, ReversalReason
from tests.facts.course import COMPANION, COURSE, DAY, HOUR, NEXT_MONDAY, NOW, PATIENT, PHONE, session_id, start


def course_requested(count: int = 2, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course at Stella; one that is not the default is of a patient of its own."""
    wished = tuple(RequestedSession(session_id=session_id(n, course), starts_at=start(n)) for n in range(1, count + 1))
    fields: dict[str, Any] = {
        "course_id": course,
        "patient_id": f"patient-{course.int & 0xFFFF}",
        "location": "stella",
        "treatment": "ketamine_induction",
        "payer": Payer.SELF_PAY,
        "sessions": wished,
    }
    return CourseRequested.model_validate(fields | told)


def requested_at(*starts: datetime, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course with a session at each of these times."""
    sessions = tuple({"session_id": session_id(n, course), "starts_at": at} for n, at in enumerate(starts, start=1))
    return course_requested(course=course, sessions=sessions, **told)


def plan_requested(first_day: date = NEXT_MONDAY, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course with a plan; what belongs to the plan goes there."""
    inside = {name: told.pop(name) for name in ("count", "weekdays", "earliest", "latest") if name in told}
    plan = CoursePlan.model_validate({"first_day": first_day} | inside)
    return course_requested(course=course, sessions=None, plan=plan, **told)


def course_change_requested(course: UUID = COURSE, **told: Any) -> CourseChangeRequested:
    """Who pays or comes along changes, or sessions are added."""
    return CourseChangeRequested(course_id=course, **told)


def course_cancel_requested(course: UUID = COURSE, by: By | str = By.PATIENT) -> CourseCancelRequested:
    """The patient gives the whole course up."""
    return CourseCancelRequested(course_id=course, by=By(by))


def session_cancel_requested(number: int = 1, course: UUID = COURSE, **told: Any) -> SessionCancelRequested:
    """The patient gives one session up."""
    fields: dict[str, Any] = {"course_id": course, "session_id": session_id(number, course), "by": By.PATIENT}
    return SessionCancelRequested(**(fields | told))


def session_reschedule_requested(
    number: int, to: datetime, course: UUID = COURSE, **told: Any
) -> SessionRescheduleRequested:
    """The patient wants another time."""
    fields: dict[str, Any] = {"course_id": course, "session_id": session_id(number, course), "starts_at": to}
    return SessionRescheduleRequested(**(fields | told))


def patient_checked_in(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientCheckedIn:
    """The patient stands at the desk."""
    fields: dict[str, Any] = {"course_id": course, "session_id": session_id(number, course), "at": start(number)}
    return PatientCheckedIn(**(fields | told))


def treatment_completed(number: int = 1, course: UUID = COURSE, **told: Any) -> TreatmentCompleted:
    """Forty-five minutes of infusion."""
    begun = start(number) + timedelta(minutes=15)
    fields: dict[str, Any] = {
        "course_id": course,
        "session_id": session_id(number, course),
        "started_at": begun,
        "ended_at": begun + timedelta(minutes=45),
    }
    return TreatmentCompleted(**(fields | told))


def patient_missed(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientMissed:
    """Nobody came."""
    at = start(number) + HOUR
    fields: dict[str, Any] = {"course_id": course, "session_id": session_id(number, course), "at": at}
    return PatientMissed(**(fields | told))


def payment_captured(
    amount_cents: int, payment_id: str = "pay-1", captured_at: datetime = NOW, **told: Any
) -> PaymentCaptured:
    """Money by card."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "payment_id": payment_id,
        "amount_cents": amount_cents,
        "currency": "USD",
        "method": Method.CARD,
        "captured_at": captured_at,
    }
    return PaymentCaptured(**(fields | told))


def payment_reversed(
    amount_cents: int, refund_id: str | None = None, payment_id: str = "pay-1", id: str = "rev-1", **told: Any
) -> PaymentReversed:
    """Money that left again."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "reversal_id": id,
        "payment_id": payment_id,
        "amount_cents": amount_cents,
        "reason": ReversalReason.REFUND,
        "refund_id": refund_id,
        "reversed_at": NOW,
    }
    return PaymentReversed(**(fields | told))


def charged_back(amount_cents: int, payment_id: str = "pay-1", id: str = "rev-1") -> PaymentReversed:
    """Money that a bank took back."""
    return payment_reversed(amount_cents, None, payment_id, id, reason=ReversalReason.CHARGEBACK)


def authorization_decided(
    decision: AuthorizationDecision, reference: str = "auth-1", **told: Any
) -> AuthorizationDecided:
    """An insurer's word; without bounds unless some are told."""
    fields: dict[str, Any] = {"course_id": COURSE, "decision": decision, "reference": reference}
    return AuthorizationDecided(**(fields | told))


def approved(reference: str = "auth-1", **told: Any) -> AuthorizationDecided:
    """An insurer covers the course."""
    return authorization_decided(AuthorizationDecision.APPROVED, reference, **told)


def denied(reference: str = "auth-1") -> AuthorizationDecided:
    """An insurer covers nothing, or nothing any more."""
    return authorization_decided(AuthorizationDecision.DENIED, reference)


def contact_updated(
    allowed: bool = True,
    recorded_at: datetime = NOW - DAY,
    contact_id: str = PATIENT,
    wording: str = "form-1",
    **told: Any,
) -> ContactUpdated:
    """A contact record, the patient's where nobody else is named: texts are allowed, as a form says."""
    fields: dict[str, Any] = {
        "contact_id": contact_id,
        "kind": ContactKind.PATIENT if contact_id == PATIENT else ContactKind.COMPANION,
        "phone": PHONE,
        "locale": "en-US",
        "time_zone": "America/Chicago",
        "region": "US-IL",
        "texting": Texting(allowed=allowed, wording=wording, source="intake", recorded_at=recorded_at),
    }
    return ContactUpdated(**(fields | told))


def companion() -> ContactUpdated:
    """Somebody who comes along, and agreed to be texted."""
    return contact_updated(contact_id=COMPANION, phone="+13125550102")


def patient_updated(**told: Any) -> PatientUpdated:
    """Whom papers name, with a diagnosis."""
    fields: dict[str, Any] = {
        "patient_id": PATIENT,
        "name": "Robin Example",
        "born_on": date(1984, 5, 17),
        "diagnoses": ("F33.2",),
    }
    return PatientUpdated(**(fields | told))
