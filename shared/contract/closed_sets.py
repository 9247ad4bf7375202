"""The closed sets of the contract. One may get a member: who reads passes over what they do not know."""

from enum import StrEnum


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
