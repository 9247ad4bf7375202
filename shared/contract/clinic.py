"""What the systems of a clinic tell and ask, on the topics `clinic.*`."""

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from shared.contract.closed_sets import AuthorizationDecision, By, ContactKind, Method, Payer, ReversalReason, Weekday
from shared.contract.fields import (
    Cents,
    Count,
    Currency,
    Day,
    Flag,
    Id,
    Instant,
    Line,
    Minutes,
    Name,
    Phone,
    PositiveCents,
    WallTime,
)
from shared.contract.register import CourseEvent, EventData, Part


class Insurance(Part):
    """The plan that covers an approved treatment."""

    plan: Name


class RecordOnFile(Part):
    """A document that the clinic has on file, such as a screening; never its content."""

    kind: Name
    recorded_on: Day


class RequestedSession(Part):
    """One wished appointment; `starts_at` is when the patient arrives."""

    session_id: UUID
    starts_at: Instant


class CoursePlan(Part):
    """Wishes from which booking plans the sessions; wall times and weekdays are the clinic's."""

    first_day: Day
    count: Count | None = None
    weekdays: tuple[Weekday, ...] | None = None
    earliest: WallTime | None = None
    latest: WallTime | None = None


class CourseRequested(CourseEvent, type="clinic.course.requested.v1", topic="clinic.requests"):
    """Please hold chairs for this course: explicit sessions, or a plan, never both.

    `minutes` is the whole visit, from arrival until the chair is free again; it goes before the protocol's.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["sessions"], "properties": {"sessions": {"type": "array"}}},
                {"required": ["plan"], "properties": {"plan": {"type": "object"}}},
            ]
        }
    )

    patient_id: Id
    location: Name
    treatment: Name
    payer: Payer
    insurance: Insurance | None = None
    package: Name | None = None
    companions: tuple[Id, ...] = ()
    records: tuple[RecordOnFile, ...] = ()
    minutes: Minutes | None = None
    sessions: Annotated[tuple[RequestedSession, ...], Field(min_length=1, max_length=200)] | None = None
    plan: CoursePlan | None = None

    @model_validator(mode="after")
    def _sessions_or_plan(self) -> "CourseRequested":
        if (self.sessions is None) == (self.plan is None):
            raise ValueError("exactly one of sessions and plan is needed")
        if self.sessions is not None and len({s.session_id for s in self.sessions}) != len(self.sessions):
            raise ValueError("a session id stands twice")
        return self


class CourseChangeRequested(CourseEvent, type="clinic.course.change_requested.v1", topic="clinic.requests"):
    """Please change who pays or comes along, or add sessions."""

    payer: Payer | None = None
    insurance: Insurance | None = None
    companions: tuple[Id, ...] | None = None
    add_sessions: tuple[RequestedSession, ...] | None = None


class CourseCancelRequested(CourseEvent, type="clinic.course.cancel_requested.v1", topic="clinic.requests"):
    """Please cancel every session that has not begun."""

    by: By


class SessionRescheduleRequested(CourseEvent, type="clinic.session.reschedule_requested.v1", topic="clinic.requests"):
    """Please move one session."""

    session_id: UUID
    starts_at: Instant


class SessionCancelRequested(CourseEvent, type="clinic.session.cancel_requested.v1", topic="clinic.requests"):
    """Please cancel one session."""

    session_id: UUID
    by: By


class Service(Part):
    """A billed service beyond the session itself: a CPT or HCPCS code, its units and modifiers."""

    code: Name
    units: Count
    modifiers: tuple[Name, ...] | None = None


class PatientCheckedIn(CourseEvent, type="clinic.session.checked_in.v1", topic="clinic.sessions"):
    """The patient is here. `starts_at`, where given, is the appointment that was meant."""

    session_id: UUID
    at: Instant
    starts_at: Instant | None = None


class TreatmentCompleted(CourseEvent, type="clinic.session.completed.v1", topic="clinic.sessions"):
    """The treatment is over; the instants are start and stop of the treatment itself."""

    session_id: UUID
    started_at: Instant
    ended_at: Instant
    services: tuple[Service, ...] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "TreatmentCompleted":
        if self.ended_at < self.started_at:
            raise ValueError("ended_at is before started_at")
        return self


class PatientMissed(CourseEvent, type="clinic.session.missed.v1", topic="clinic.sessions"):
    """The patient did not come."""

    session_id: UUID
    at: Instant
    starts_at: Instant | None = None


class PaymentCaptured(CourseEvent, type="clinic.payment.captured.v1", topic="clinic.payments"):
    """Money came in for a course."""

    payment_id: Id
    amount_cents: PositiveCents
    currency: Currency
    method: Method
    captured_at: Instant


class PaymentReversed(CourseEvent, type="clinic.payment.reversed.v1", topic="clinic.payments"):
    """Money left again; `refund_id` names the refund that this settles."""

    reversal_id: Id
    payment_id: Id
    amount_cents: PositiveCents
    reason: ReversalReason
    refund_id: Id | None = None
    reversed_at: Instant


class AuthorizationDecided(CourseEvent, type="clinic.authorization.decided.v1", topic="clinic.payments"):
    """An insurer decided on a prior authorization."""

    decision: AuthorizationDecision
    reference: Name
    valid_from: Day | None = None
    valid_through: Day | None = None
    sessions: Count | None = None
    copay_cents: Cents | None = None


class Texting(Part):
    """A consent as it was recorded: which wording was agreed to, where, when."""

    allowed: Flag
    wording: Name
    source: Name
    recorded_at: Instant


class ContactUpdated(EventData, type="clinic.contact.updated.v1", topic="clinic.contacts"):
    """How a person may be texted. A patient's contact id is the patient id."""

    contact_id: Id
    kind: ContactKind
    phone: Phone
    locale: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
    time_zone: Name
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")] | None = None
    texting: Texting

    @property
    def key(self) -> str:
        return self.contact_id


class PatientUpdated(EventData, type="clinic.patient.updated.v1", topic="clinic.patients"):
    """What billing prints on papers."""

    patient_id: Id
    name: Line
    born_on: Day
    address: Line | None = None
    member_id: Id | None = None
    diagnoses: tuple[Name, ...] | None = None
    no_claims: Flag | None = None

    @property
    def key(self) -> str:
        return self.patient_id
