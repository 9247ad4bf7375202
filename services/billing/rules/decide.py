"""Billing's decisions: when a session may be confirmed, and what its money does. Pure: no I/O, no clock, no random ids.

`ON_COURSE` and `ON_SESSION` are the map of the service: which fact goes to which rule. After each of them `settle` puts
the money where it belongs.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, assert_never
from uuid import UUID

from services.billing.account.account import Account, Known, Stage
from services.billing.account.messages import RefundRequested, WaiverGranted
from services.billing.account.share import Share
from services.billing.account.tariff import PracticeLocations
from services.billing.papers.decide import course_of_papers, decide_papers, folder_of, look_again
from services.billing.papers.folder import Folder, Patient, State
from services.billing.rules.draft import Draft, TimerKind
from services.billing.rules.on_booking import (
    on_accepted,
    on_cancelled,
    on_changed,
    on_completed,
    on_confirmed,
    on_ended,
    on_missed,
    on_rejected,
    on_released,
    on_requested,
    on_rescheduled,
)
from services.billing.rules.on_payments import on_authorization, on_captured, on_reversed
from services.billing.rules.on_requests import on_refund_requested, on_waived
from services.billing.rules.settlement import settle
from services.billing.rules.shares import charged
from services.billing.rules.withdrawals import on_unconfirmed, on_withdrawal_refused
from shared.contract.billing import PrepaymentOverdue
from shared.contract.booking import (
    CourseAccepted,
    CourseChanged,
    CourseClosed,
    CourseCompleted,
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
from shared.contract.clinic import (
    AuthorizationDecided,
    CourseRequested,
    PatientUpdated,
    PaymentCaptured,
    PaymentReversed,
)
from shared.contract.closed_sets import SessionState
from shared.contract.internal import PersonErased, TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Decision
from shared.decision.message import Message

PATIENT: Final = "patient:"
"""What the aggregate of a person begins with; those of papers begin with `PAPERS`, the others are courses."""


def aggregate_of(message: Message) -> str:
    """The course, its papers or the person that a message is about."""
    if type(message.data) in FACTS:  # the most frequent first: to ask for one class after another is dear
        return message.data.key
    match message.data:
        case TimerDue() as timer if (folder := folder_of(timer)) is not None:
            return folder
        case PatientUpdated() | PersonErased() as person:
            return PATIENT + person.key
        case data:
            return data.key


def on_timer(draft: Draft, timer: TimerDue) -> None:
    """A deadline of this course has passed.

    Raises:
        ValueError: billing sets no timer of this kind.
    """
    match TimerKind(timer.kind):
        case TimerKind.DUE:
            share = draft.account.share(UUID(timer.subject))
            if share is not None and share.awaits_deadline and share.due_at == timer.due_at:
                _declare_overdue(draft, share)
        case TimerKind.REFUND:
            if draft.account.refund_at == timer.due_at:
                draft.account = draft.account._replace(refund_at=None)  # taken by its delivery; settling gives it back
        case TimerKind.COURSE:
            _show_what_waits(draft, timer)
        case other:
            assert_never(other)


def _show_what_waits(draft: Draft, timer: TimerDue) -> None:
    if draft.account.stage is Stage.UNKNOWN and draft.account.balance_cents:
        detail = f"{draft.account.balance_cents} cents wait for a course that nobody booked"
        draft.raise_attention("payment_without_course", timer.of, detail)
    if draft.account.stage is Stage.UNKNOWN and draft.account.authorizations:
        draft.raise_attention("authorization_without_course", timer.of, "it waits for a course that nobody booked")


def _declare_overdue(draft: Draft, share: Share) -> None:
    draft.put(share._replace(overdue=True))
    draft.events.append(
        PrepaymentOverdue(
            course_id=draft.account.course_id,
            session_id=share.session_id,
            amount_cents=share.price_cents,
            due_at=share.due_at,
        )
    )


ON_COURSE: Final[Mapping[type[EventData], Callable[[Draft, Any], None]]] = {
    CourseRequested: on_requested,
    CourseAccepted: on_accepted,
    CourseRejected: on_rejected,
    CourseChanged: on_changed,
    CourseCompleted: on_ended,
    CourseClosed: on_ended,
    PaymentCaptured: on_captured,
    PaymentReversed: on_reversed,
    AuthorizationDecided: on_authorization,
    RefundRequested: on_refund_requested,
    WaiverGranted: on_waived,
    TimerDue: on_timer,
}

ON_SESSION: Final[Mapping[type[EventData], Callable[[Draft, Any, Share], None]]] = {
    SessionConfirmed: on_confirmed,
    SessionReleased: on_released,
    SessionCancelled: on_cancelled,
    SessionRescheduled: on_rescheduled,
    SessionMissed: on_missed,
    SessionCompleted: on_completed,
    SessionUnconfirmed: on_unconfirmed,
    SessionWithdrawalRefused: on_withdrawal_refused,
}


FACTS: Final = frozenset({*ON_COURSE, *ON_SESSION} - {TimerDue})
"""Facts whose aggregate is a course and its money; a timer may be about its papers."""


def _hears() -> dict[str, frozenset[str]]:
    heard: dict[str, set[str]] = {"clinic.patients": {PatientUpdated.type, PersonErased.type}}
    for event in (*ON_COURSE, *ON_SESSION):
        if hasattr(event, "topic"):
            heard.setdefault(event.topic, set()).add(event.type)
    return {topic: frozenset(types) for topic, types in heard.items()}


HEARS: Final[Mapping[str, frozenset[str]]] = _hears()
"""What billing acts upon, by topic."""


def decide(
    places: PracticeLocations, state: State | None, message: Message, now: datetime, known: Known
) -> Decision[State, Known]:
    """What follows from one message about one course, its papers or one person.

    Args:
        places: every served location.
        known: what the batch knows beyond this course.

    Raises:
        NotAllowed: a request over HTTP breaks a rule.
    """
    if type(message.data) in FACTS:
        return _decide_account(places, state, message, now, known)
    match message.data:
        case PatientUpdated() as patient:
            return Decision(Patient(patient.patient_id, patient, now))
        case PersonErased() as person:
            return Decision(Patient(person.person_id, None, now))
        case TimerDue() as timer if (aggregate := folder_of(timer)) is not None:
            folder = state if isinstance(state, Folder) else Folder(course_of_papers(aggregate))
            return decide_papers(places, folder, message, now)
        case _:
            return _decide_account(places, state, message, now, known)


def _decide_account(
    places: PracticeLocations, state: State | None, message: Message, now: datetime, known: Known
) -> Decision[State, Known]:
    data = message.data
    account = state if isinstance(state, Account) else Account(UUID(data.key))
    draft = Draft(places, account, message, now, known)
    if type(data) in ON_COURSE:
        ON_COURSE[type(data)](draft, data)
    else:
        _decide_session(draft, data)
    settle(draft)
    draft.timers += look_again(account, draft.account, data, now)
    return draft.decided(draft.account, draft.known)


def _decide_session(draft: Draft, data: EventData) -> None:
    assert isinstance(data, SessionEvent)
    share = draft.account.share(data.session_id)
    if share is not None:
        booked_anew = (
            data.state is SessionState.HELD
            and share.state in (SessionState.MISSED, SessionState.RELEASED)
            and not share.unanswered
        )
        if booked_anew:
            share = share._replace(
                basis=None, overdue=False, refunded_cents=0, fee_cents=0, cover=None, asked_at=draft.message.time
            )
        release = data.reason if isinstance(data, SessionReleased) and data.state is SessionState.RELEASED else None
        share = share._replace(
            state=data.state,
            release=release,
            starts_at=data.starts_at,
            version=data.version,
            provider=data.provider,
        )
        if booked_anew:
            share = charged(draft.account, share)
        ON_SESSION[type(data)](draft, data, draft.put(share))
    elif draft.account.stage is not Stage.UNPRICED or isinstance(data, SessionConfirmed | SessionCompleted):
        draft.raise_attention("unknown_session", data.session_id, f"{data.type}: the course is {draft.account.stage}")
