"""What the clinic tells."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contract.clinic import (
    AuthorizationDecided,
    ContactUpdated,
    CourseCancelRequested,
    CoursePlan,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    PaymentCaptured,
    PaymentReversed,
    RequestedSession,
    SessionCancelRequested,
    SessionRescheduleRequested,
    Texting,
    TreatmentCompleted,
)
from shared.contract.closed_sets import AuthorizationDecision, By, ContactKind, Method, Payer, ReversalReason
from tests.facts.course import COURSE, HOUR, NEXT_MONDAY, session_id, start
from tests.facts.infusions import T0, begins_at
from tests.facts.texted_course import COMPANION, MONDAY, PATIENT, PHONE


def asked_for(of: int = 2) -> CourseRequested:
    """The course, asked for."""
    sessions = tuple(RequestedSession(session_id=session_id(n), starts_at=begins_at(n)) for n in range(1, of + 1))
    return CourseRequested(
        course_id=COURSE,
        patient_id="p-1",
        location="carbondale",
        treatment="infusion",
        payer=Payer.SELF_PAY,
        sessions=sessions,
    )


def paid(amount_cents: int, payment_id: str = "pay-1", at: datetime = T0, **told: Any) -> PaymentCaptured:
    """Money by card."""
    fields: dict[str, Any] = {
        "course_id": COURSE,
        "payment_id": payment_id,
        "amount_cents": amount_cents,
        "currency": "USD",
        "method": Method.CARD,
        "captured_at": at,
    }
    return PaymentCaptured(**(fields | told))


def reversed_(
    amount_cents: int,
    refund_id: str | None = None,
    payment_id: str = "pay-1",
    id: str = "rev-1",
    reason: ReversalReason = ReversalReason.REFUND,
) -> PaymentReversed:
    """Money that left again."""
    return PaymentReversed(
        course_id=COURSE,
        reversal_id=id,
        payment_id=payment_id,
        amount_cents=amount_cents,
        reason=reason,
        refund_id=refund_id,
        reversed_at=T0,
    )


def charged_back(amount_cents: int, payment_id: str = "pay-1", id: str = "rev-1") -> PaymentReversed:
    """Money that a bank took back."""
    return reversed_(amount_cents, None, payment_id, id, ReversalReason.CHARGEBACK)


def approved(reference: str = "auth-1", **told: Any) -> AuthorizationDecided:
    """An insurer covers the course; without bounds unless some are told."""
    return AuthorizationDecided(course_id=COURSE, decision=AuthorizationDecision.APPROVED, reference=reference, **told)


def denied(reference: str = "auth-1") -> AuthorizationDecided:
    """An insurer covers nothing, or nothing any more."""
    return AuthorizationDecided(course_id=COURSE, decision=AuthorizationDecision.DENIED, reference=reference)


def requested(count: int = 2, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course at Stella."""
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


def wish(*starts: datetime, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course with a session at each of these times."""
    sessions = tuple({"session_id": session_id(n, course), "starts_at": at} for n, at in enumerate(starts, start=1))
    return requested(course=course, sessions=sessions, **told)


def asked(first_day: date = NEXT_MONDAY, course: UUID = COURSE, **told: Any) -> CourseRequested:
    """A course with a plan; what belongs to the plan goes there."""
    inside = {name: told.pop(name) for name in ("count", "weekdays", "earliest", "latest") if name in told}
    plan = CoursePlan.model_validate({"first_day": first_day} | inside)
    return requested(course=course, sessions=None, plan=plan, **told)


def checked_in(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientCheckedIn:
    """The patient stands at the desk."""
    return PatientCheckedIn(course_id=course, session_id=session_id(number, course), at=start(number), **told)


def completed(number: int = 1, course: UUID = COURSE) -> TreatmentCompleted:
    """Forty-five minutes of infusion."""
    begun = start(number) + timedelta(minutes=15)
    return TreatmentCompleted(
        course_id=course,
        session_id=session_id(number, course),
        started_at=begun,
        ended_at=begun + timedelta(minutes=45),
    )


def missed(number: int = 1, course: UUID = COURSE, **told: Any) -> PatientMissed:
    """Nobody came."""
    return PatientMissed(course_id=course, session_id=session_id(number, course), at=start(number) + HOUR, **told)


def cancel(number: int | None = None, course: UUID = COURSE) -> CourseCancelRequested | SessionCancelRequested:
    """The patient gives up one session, or the whole course."""
    if number is None:
        return CourseCancelRequested(course_id=course, by=By.PATIENT)
    return SessionCancelRequested(course_id=course, session_id=session_id(number, course), by=By.PATIENT)


def moved(number: int, to: datetime, course: UUID = COURSE) -> SessionRescheduleRequested:
    """The patient wants another time."""
    return SessionRescheduleRequested(course_id=course, session_id=session_id(number, course), starts_at=to)


def contact(
    allowed: bool = True,
    recorded_at: datetime = MONDAY - timedelta(days=1),
    phone: str = PHONE,
    time_zone: str = "America/Chicago",
    region: str | None = "US-IL",
    wording: str = "form-1",
    contact_id: str = PATIENT,
    locale: str = "en-US",
) -> ContactUpdated:
    """A contact record, the patient's where nobody else is named."""
    return ContactUpdated(
        contact_id=contact_id,
        kind=ContactKind.PATIENT if contact_id == PATIENT else ContactKind.COMPANION,
        phone=phone,
        locale=locale,
        time_zone=time_zone,
        region=region,
        texting=Texting(allowed=allowed, wording=wording, source="intake", recorded_at=recorded_at),
    )


def companion() -> ContactUpdated:
    """Somebody who comes along, and agreed to be texted."""
    return contact(contact_id=COMPANION, phone="+13125550102")
