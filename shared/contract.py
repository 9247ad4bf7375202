"""Every message type and every closed set that travels between Chairtime and the outside world, on one page.

What lives here: the data of each CloudEvent as a pydantic model, with its type name, its topic and its Kafka key.
What does not: how a message is put on the wire (`shared.envelope`), and every rule about what to do with it.

The contract only grows: a field may be added if it is optional; anything else is a new type `.v2`.
Kafka consumers ignore fields that they do not know; the HTTP APIs refuse them (`model_validate(..., extra="forbid")`).
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

# ---------------------------------------------------------------------------------------------------------------------
# Closed sets
# ---------------------------------------------------------------------------------------------------------------------


class Payer(StrEnum):
    """Who pays for a course."""

    SELF_PAY = "self_pay"
    INSURANCE = "insurance"


class By(StrEnum):
    """Whose wish a cancellation or a move was; the clinic's own are always refunded in full."""

    PATIENT = "patient"
    CLINIC = "clinic"


class Method(StrEnum):
    """How money came in."""

    CARD = "card"
    HSA = "hsa"
    FSA = "fsa"
    CASH = "cash"
    CHECK = "check"
    FINANCING = "financing"


class AuthorizationDecision(StrEnum):
    """An insurer's answer to a prior authorization."""

    APPROVED = "approved"
    DENIED = "denied"


class ContactKind(StrEnum):
    """A person who may be texted: the patient, or somebody who comes along."""

    PATIENT = "patient"
    COMPANION = "companion"


class SessionState(StrEnum):
    """Where one session of a course stands; booking alone moves it."""

    HELD = "held"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked_in"
    COMPLETED = "completed"
    MISSED = "missed"
    CANCELLED = "cancelled"
    RELEASED = "released"


class Basis(StrEnum):
    """Why a session needs no more money or cover."""

    PAID = "paid"
    INSURED = "insured"
    FREE = "free"
    WAIVED = "waived"


class Needs(StrEnum):
    """What a session still waits for before it can be confirmed."""

    MONEY = "money"
    AUTHORIZATION = "authorization"


class Refusal(StrEnum):
    """Why booking refused a request, a session of it, or a fact."""

    CHAIR_TAKEN = "chair_taken"
    PROVIDER_TAKEN = "provider_taken"
    PATIENT_BUSY = "patient_busy"
    CLOSED = "closed"
    TOO_CLOSE = "too_close"
    TOO_FAR = "too_far"
    OUTSIDE_WINDOW = "outside_window"
    IN_PAST = "in_past"
    RECORD_MISSING = "record_missing"
    UNKNOWN_LOCATION = "unknown_location"
    UNKNOWN_TREATMENT = "unknown_treatment"
    UNKNOWN_COURSE = "unknown_course"
    UNKNOWN_SESSION = "unknown_session"
    COURSE_EXISTS = "course_exists"
    WRONG_STATE = "wrong_state"
    STALE = "stale"
    NOT_PAID = "not_paid"
    TOO_EARLY = "too_early"
    NO_PLAN_FOUND = "no_plan_found"
    WRONG_COUNT = "wrong_count"
    COMPANION_MISSING = "companion_missing"


class ReleaseReason(StrEnum):
    """Why a held place was given up."""

    HOLD_EXPIRED = "hold_expired"
    OVERDUE = "overdue"
    UNPRICED = "unpriced"
    SLOT_TAKEN = "slot_taken"
    WITHDRAWN = "withdrawn"


class WithdrawalReason(StrEnum):
    """Why what satisfied a session was taken back."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"
    AUTHORIZATION_LAPSED = "authorization_lapsed"
    PAYER_CHANGED = "payer_changed"


class ClosedReason(StrEnum):
    """Why a course ended with no session completed."""

    CANCELLED = "cancelled"
    RELEASED = "released"


class PricingRefusal(StrEnum):
    """Why billing cannot price a course."""

    UNKNOWN_PACKAGE = "unknown_package"
    WRONG_COUNT = "wrong_count"
    NOT_COVERED = "not_covered"
    NO_PRICE = "no_price"


class PaymentRefusal(StrEnum):
    """Why billing does not book a payment."""

    UNKNOWN_CURRENCY = "unknown_currency"
    CONFLICTING_REPEAT = "conflicting_repeat"


class RefundReason(StrEnum):
    """Why money goes back."""

    CANCELLED = "cancelled"
    RELEASED = "released"
    SLOT_TAKEN = "slot_taken"
    OVERPAID = "overpaid"
    REJECTED = "rejected"
    CLINIC_FAULT = "clinic_fault"
    REQUESTED = "requested"


class ReversalReason(StrEnum):
    """Why captured money left again."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"


class TextKind(StrEnum):
    """What a text is for."""

    BOOKED = "booked"
    PAYMENT_DUE = "payment_due"
    PREPARATION = "preparation"
    DAY_BEFORE = "day_before"
    DAY_OF = "day_of"
    MOVED = "moved"
    CANCELLED = "cancelled"
    RELEASED = "released"
    AFTER_CARE = "after_care"
    NEXT_DAY = "next_day"
    EVALUATION = "evaluation"
    BOOSTER_DUE = "booster_due"
    COMPANION_NOTICE = "companion_notice"
    OPT_OUT_CONFIRMED = "opt_out_confirmed"
    HELP = "help"
    UNMONITORED_REPLY = "unmonitored_reply"


class SuppressedReason(StrEnum):
    """Why a planned text was never sent."""

    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    QUIET_HOURS_TOO_LATE = "quiet_hours_too_late"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    NO_NUMBER = "no_number"
    RESTORED = "restored"
    TOO_LATE = "too_late"


class Intent(StrEnum):
    """What a patient's reply meant."""

    CONFIRM = "confirm"
    CANNOT_COME = "cannot_come"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"
    UNCLEAR = "unclear"


class Weekday(StrEnum):
    """A day of the week in a request's plan."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


# ---------------------------------------------------------------------------------------------------------------------
# Field types
# ---------------------------------------------------------------------------------------------------------------------

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _printable(text: str) -> str:
    """Refuse control characters (PostgreSQL cannot store NUL) and marks that reorder what an operator reads."""
    if _CONTROLS.search(text):
        raise ValueError("holds a control character")
    return text


def _written_out(value: object) -> object:
    """Refuse a number, which pydantic would count in seconds since 1970: it carries no offset."""
    if isinstance(value, int | float) or (isinstance(value, str) and value[4:5] != "-"):
        raise ValueError("is not written as YYYY-MM-DD")
    return value


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        ValueError: it lies before 1900 or after 2999, where a rule that adds a day could leave the calendar.
    """
    if not 1900 <= instant.year <= 2999:
        raise ValueError("is no instant that can be meant")
    return instant.astimezone(UTC)


Id = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
"""An opaque id of 1 to 64 printable characters, made by whoever owns the thing."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
"""A short name or code: a location, a treatment, a plan."""

Line = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_printable)]
"""One line of free text."""

Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(to_utc)]
"""A moment with an offset on the wire, UTC inside."""

Day = Annotated[date, BeforeValidator(_written_out)]
"""A day of the calendar, YYYY-MM-DD."""

Flag = Annotated[bool, Field(strict=True)]
"""true or false; never "yes" or 1: a consent is not guessed."""

Cents = Annotated[int, Field(strict=True, ge=0, le=100_000_000)]
"""Money in integer cents, at most a million dollars."""

PositiveCents = Annotated[int, Field(strict=True, gt=0, le=100_000_000)]

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

Count = Annotated[int, Field(strict=True, ge=1, le=200)]

Minutes = Annotated[int, Field(strict=True, ge=1, le=600)]

Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""E.164."""

WallTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM on the clinic's clock."""


# ---------------------------------------------------------------------------------------------------------------------
# The register of types
# ---------------------------------------------------------------------------------------------------------------------

EVENTS: Final[dict[str, type["EventData"]]] = {}
"""Every event type by its name, filled as the classes below are read."""

INNER: Final[dict[str, type["EventData"]]] = {}
"""Every type that a service tells to itself, by its name: these have no topic."""


class Part(BaseModel):
    """A piece of an event's data."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Part):
    """The data of one CloudEvent. A class with a `type` and a `topic` is registered in `EVENTS`, else in `INNER`."""

    type: ClassVar[str]
    topic: ClassVar[str]

    def __init_subclass__(cls, type: str | None = None, topic: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.topic = topic
        if type is not None:
            cls.type = type

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "type" in cls.__dict__:
            (EVENTS if hasattr(cls, "topic") else INNER)[cls.type] = cls

    @property
    def key(self) -> str:
        """The Kafka key: what must stay in order together."""
        raise NotImplementedError


class CourseEvent(EventData):
    """An event about a course: its key is the course id."""

    course_id: UUID

    @cached_property
    def key(self) -> str:  # asked for several times on a message's way
        return str(self.course_id)


# ---------------------------------------------------------------------------------------------------------------------
# clinic.requests - written by clinic systems
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# clinic.sessions - written by the clinic floor
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# clinic.payments - written by the till and the payment provider
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# clinic.contacts and clinic.patients - personal data, compacted; a null value erases the person
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# booking.events
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# billing.events
# ---------------------------------------------------------------------------------------------------------------------


class PrepaymentRequired(CourseEvent, type="billing.prepayment.required.v1", topic="billing.events"):
    """A session waits for money or an authorization until `due_at`."""

    session_id: UUID
    patient_id: Id
    needs: Needs
    amount_cents: Cents
    currency: Currency
    due_at: Instant
    estimate_id: Id | None = None


class PrepaymentSatisfied(CourseEvent, type="billing.prepayment.satisfied.v1", topic="billing.events"):
    """A grant: the session may be confirmed. `grant` counts up per session; booking answers each exactly once."""

    session_id: UUID
    grant: int
    basis: Basis
    amount_cents: Cents


class PrepaymentWithdrawn(CourseEvent, type="billing.prepayment.withdrawn.v1", topic="billing.events"):
    """Billing asks booking to take a grant back."""

    session_id: UUID
    grant: int
    reason: WithdrawalReason


class PrepaymentOverdue(CourseEvent, type="billing.prepayment.overdue.v1", topic="billing.events"):
    """A session was not satisfied in time."""

    session_id: UUID
    amount_cents: Cents
    due_at: Instant


class PricingRejected(CourseEvent, type="billing.pricing.rejected.v1", topic="billing.events"):
    """The course cannot be priced; booking releases it whole."""

    code: PricingRefusal
    detail: str


class PaymentRecorded(CourseEvent, type="billing.payment.recorded.v1", topic="billing.events"):
    """The ledger has the payment; `unallocated_cents` is the course's balance afterwards."""

    payment_id: Id
    amount_cents: Cents
    unallocated_cents: Cents


class PaymentRejected(CourseEvent, type="billing.payment.rejected.v1", topic="billing.events"):
    """The payment was not booked."""

    payment_id: Id
    code: PaymentRefusal


class RefundPart(Part):
    """The part of a refund that comes from one payment."""

    payment_id: Id
    amount_cents: PositiveCents


class RefundDue(CourseEvent, type="billing.refund.due.v1", topic="billing.events"):
    """Money that the clinic owes back, and the payments that it came from."""

    refund_id: Id
    amount_cents: PositiveCents
    currency: Currency
    reason: RefundReason
    payments: tuple[RefundPart, ...]


class RefundSettled(CourseEvent, type="billing.refund.settled.v1", topic="billing.events"):
    """The whole refund has left the clinic."""

    refund_id: Id


class EstimateIssued(CourseEvent, type="billing.estimate.issued.v1", topic="billing.events"):
    """A good-faith estimate, or a new version of one."""

    estimate_id: Id
    version: int
    total_cents: Cents


class SuperbillIssued(CourseEvent, type="billing.superbill.issued.v1", topic="billing.events"):
    """The paper that the patient hands to an insurer, for one date of service."""

    session_id: UUID
    superbill_id: Id


# ---------------------------------------------------------------------------------------------------------------------
# reminders.events
# ---------------------------------------------------------------------------------------------------------------------


class TextEvent(EventData):
    """What became of one text; its key is the course, or the contact where it belongs to none."""

    text_id: UUID
    contact_id: Id
    course_id: UUID | None = None
    session_id: UUID | None = None
    kind: TextKind
    due_at: Instant

    @property
    def key(self) -> str:
        return str(self.course_id) if self.course_id else self.contact_id


class TextSent(TextEvent, type="reminders.text.sent.v1", topic="reminders.events"):
    """The provider took the text."""

    sent_at: Instant
    segments: int


class TextDelivered(TextEvent, type="reminders.text.delivered.v1", topic="reminders.events"):
    """The handset has the text."""

    sent_at: Instant
    segments: int


class TextFailed(TextEvent, type="reminders.text.failed.v1", topic="reminders.events"):
    """The provider refused the text, or the carrier did later (then it had been sent); `code` is the provider's."""

    sent_at: Instant | None = None
    segments: int
    code: str


class TextSuppressed(TextEvent, type="reminders.text.suppressed.v1", topic="reminders.events"):
    """The text was never sent, and why."""

    reason: SuppressedReason


class ReplyReceived(EventData, type="reminders.reply.received.v1", topic="reminders.events"):
    """A patient wrote back; never what they wrote."""

    contact_id: Id
    course_id: UUID | None = None
    session_id: UUID | None = None
    intent: Intent

    @property
    def key(self) -> str:
        return str(self.course_id) if self.course_id else self.contact_id


class ConsentChanged(EventData, type="reminders.consent.changed.v1", topic="reminders.events"):
    """A person may be texted from now on, or not any more."""

    contact_id: Id
    allowed: Flag
    source: Name

    @property
    def key(self) -> str:
        return self.contact_id


# ---------------------------------------------------------------------------------------------------------------------
# Messages that never travel: a service tells them to itself
# ---------------------------------------------------------------------------------------------------------------------


class PersonErased(EventData, type="chairtime.person.erased"):
    """A null value came for this person on a compacted topic: forget them."""

    person_id: Id

    @property
    def key(self) -> str:
        return self.person_id


class TimerDue(EventData, type="chairtime.timer.due"):
    """A deadline that a rule had set has passed. `of` is the aggregate, `subject` a session id or empty."""

    of: str
    kind: str
    subject: str
    due_at: Instant

    @property
    def key(self) -> str:
        return self.of


class ClosureRequested(EventData, type="chairtime.closure.requested"):
    """Please close a place, or one chair or one provider of it, and move whoever sits there."""

    closure_id: UUID
    location: Name
    chair: Name | None = None
    provider: Name | None = None
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _one_stretch(self) -> "ClosureRequested":
        if self.chair is not None and self.provider is not None:
            raise ValueError("a chair or a provider, not both")
        if not timedelta() < self.ends_at - self.starts_at <= timedelta(days=366):
            raise ValueError("ends_at must lie after starts_at, at most 366 days")
        return self

    @property
    def key(self) -> str:
        return f"closure/{self.closure_id}"


# ---------------------------------------------------------------------------------------------------------------------
# Topics
# ---------------------------------------------------------------------------------------------------------------------

ServiceName = Literal["booking", "billing", "reminders"]

CLINIC_TOPICS: Final = ("clinic.requests", "clinic.sessions", "clinic.payments", "clinic.contacts", "clinic.patients")
"""Written by the outside: an unknown type here is bad input."""

ERASABLE: Final = {"clinic.contacts": "contact", "clinic.patients": "patient"}
"""Compacted topics with personal data: a null value erases the person, and their bytes never leave the database."""

ANSWERED_BY: Final[Mapping[str, ServiceName]] = {
    "clinic.requests": "booking",
    "clinic.sessions": "booking",
    "clinic.payments": "billing",
    "clinic.patients": "billing",
    "clinic.contacts": "reminders",
}
"""Whose dead letter an unreadable record becomes: one service's, however many hear the topic."""

SERVICE_TOPICS: Final = ("booking.events", "billing.events", "reminders.events")
"""Written by our services: an unknown type here is a newer release's, skipped and counted."""

DEAD_LETTER_TOPICS: Final = ("booking.dead-letters", "billing.dead-letters", "reminders.dead-letters")

CURRENCY: Final = "USD"
"""The one currency that is booked."""
