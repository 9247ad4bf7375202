"""Texts planned and swept as the facts of a course come in; a course that is not known yet is waited for. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.reminders.people.contact import Contacts
from services.reminders.rules.course import Course, Session
from services.reminders.rules.ladder import (
    AFTER_COURSE,
    View,
    after_course,
    after_visit,
    on_companions,
    on_confirmation,
    on_demand,
    on_end,
    on_move,
    superseded,
    suppressed,
)
from services.reminders.text.clinic import Place, Places
from services.reminders.text.text import ATTEMPTED, Text, TextState
from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.booking import (
    BookedSession,
    CourseAccepted,
    CourseChanged,
    CourseClosed,
    CourseCompleted,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import Needs, SessionState, SuppressedReason, TextKind
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.contract.reminders import TextDelivered, TextEvent, TextFailed, TextSent, TextSuppressed
from shared.decision.decision import Attention, Timer
from shared.decision.message import Message

UNKNOWN_AFTER: Final = timedelta(hours=24)
"""What waits this long for a course that booking never told of goes to a person (contract rule 7)."""

_UNKNOWN_COURSE: Final = "unknown_course"

TOLD: Final[Mapping[type[TextEvent], TextState]] = {
    TextSent: TextState.SENT,
    TextDelivered: TextState.DELIVERED,
    TextFailed: TextState.FAILED,
}
"""What our own events tell of a text that went out."""

FINAL: Final = frozenset({TextState.DELIVERED, TextState.FAILED, TextState.SUPPRESSED})

_HEARD: Final[tuple[type[EventData], ...]] = (
    CourseAccepted,
    CourseChanged,
    CourseCompleted,
    CourseClosed,
    SessionConfirmed,
    SessionUnconfirmed,
    SessionRescheduled,
    SessionCancelled,
    SessionReleased,
    SessionCheckedIn,
    SessionCompleted,
    SessionMissed,
    PrepaymentRequired,
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
    PrepaymentOverdue,
    ContactUpdated,
)

_OF_MONEY: Final[frozenset[type[EventData]]] = frozenset(e for e in _HEARD if e.topic == "billing.events")


class _Draft:
    """One decision about a course in the making."""

    def __init__(self, places: Places, course: Course, contacts: Contacts) -> None:
        self.places = places
        self.course = course
        self.contacts = contacts
        self.trace = ""
        self.events: list[EventData] = []
        self.timers: list[Timer] = []
        self.attention: list[Attention] = []

    def hear(self, message: Message, now: datetime) -> None:
        """Take one message in, then what had waited for it, each as of when it came."""
        data, self.trace, before = message.data, message.trace, self.course
        if type(data) in _OF_MONEY:  # the most frequent first: to ask for one class after another is dear
            if self.course.patient_id is None:
                self._wait(message, now)
            else:
                self._on_billing(data, now)
        elif isinstance(data, CourseAccepted | SessionEvent):
            self._on_booking(data, now)
        elif isinstance(data, TimerDue):
            self._on_timer(data)
        elif isinstance(data, TextEvent):
            self._recall(data, message.time)
        elif not isinstance(data, CourseCompleted | CourseClosed):  # a course's sessions have settled every text
            raise TypeError(f"not about a course: {message.type}")
        if self.course is not before:
            self._sweep(TextKind.PAYMENT_DUE if type(data) in _OF_MONEY else None)
        if self.course.patient_id is not None and self.course.waiting:
            waiting = self.course.waiting
            self.course = self.course._replace(waiting=())
            self.timers.append(Timer(_UNKNOWN_COURSE, None))
            for earlier in waiting:
                self.hear(earlier, earlier.arrived_at)

    def _wait(self, message: Message, now: datetime) -> None:
        if not self.course.waiting:
            self.timers.append(Timer(_UNKNOWN_COURSE, now + UNKNOWN_AFTER))
        self.course = self.course._replace(waiting=(*self.course.waiting, message._replace(record=None)))

    def _on_timer(self, timer: TimerDue) -> None:
        if timer.kind != _UNKNOWN_COURSE:
            raise ValueError(f"no such timer: {timer.kind}")
        if self.course.patient_id is None:
            detail = "billing told of a course that booking has not told of"
            self.attention.append(Attention(_UNKNOWN_COURSE, str(self.course.course_id), detail))

    def _on_booking(self, data: CourseAccepted | SessionEvent, now: datetime) -> None:
        first = self.course.patient_id is None
        told = data.sessions if isinstance(data, CourseAccepted) else (data,)
        if first or any(self._is_news(session) for session in told):
            self._on_people(data, now)
        if first and self._place is None:
            detail = "no served clinic has the location of this course: it gets no texts"
            self.attention.append(Attention("unknown_location", str(data.course_id), detail))
        for session in told:
            self._see(session, data.ended_at if isinstance(data, SessionCompleted) else None, now)

    def _is_news(self, told: BookedSession) -> bool:
        known = self.course.session(told.session_id)
        return known is None or told.version >= known.version

    def _on_people(self, data: CourseAccepted | SessionEvent, now: datetime) -> None:
        """Whom a course is about; who comes along from now on learns of the dates."""
        course = self.course
        if (course.patient_id, course.treatment, course.companions) != (
            data.patient_id,
            data.treatment,
            data.companions,
        ):
            self.course = course._replace(
                patient_id=data.patient_id,
                location=course.location or data.location,
                treatment=data.treatment,
                companions=data.companions,
            )
            if (view := self._view(now)) is not None:
                self._plan(on_companions(view))

    def _see(self, told: BookedSession, ended_at: datetime | None, now: datetime) -> None:
        """A session as booking told of it: what is older than what we know counts no more."""
        known = self.course.session(told.session_id)
        if known is not None and told.version < known.version:
            return
        ended_at = ended_at or (known.ended_at if known else None)
        session = Session(told.session_id, told.version, told.state, told.starts_at, ended_at)
        if session == known:
            return
        self.course = self.course.with_session(session)
        if (view := self._view(now)) is None:
            return
        match session.state:
            case SessionState.CONFIRMED:
                if known is not None and known.state is not SessionState.HELD and known.starts_at != session.starts_at:
                    self._plan(on_move(view, session, known.starts_at))
                self._plan(on_confirmation(view, session))
            case SessionState.COMPLETED if session.ended_at is not None:
                self._plan(after_visit(view, session))
            case SessionState.CANCELLED | SessionState.RELEASED as state:
                if known is not None and known.state is not state:
                    kind = TextKind.CANCELLED if state is SessionState.CANCELLED else TextKind.RELEASED
                    self._plan(on_end(view, kind, session, known.starts_at))
        if self.course.finished:
            self._plan(after_course(view))

    def _on_billing(self, data: EventData, now: datetime) -> None:
        owed = self.course.owed
        match data:
            case PrepaymentRequired(needs=Needs.MONEY):
                if data.session_id not in owed:
                    self.course = self.course._replace(owed=owed | {data.session_id})
                if (view := self._view(now)) is not None:
                    self._plan(on_demand(view))
            case PrepaymentRequired() | PrepaymentSatisfied() | PrepaymentOverdue():
                if data.session_id in owed:
                    self.course = self.course._replace(owed=owed - {data.session_id})
            case PrepaymentWithdrawn():
                pass  # a new demand follows when booking has answered

    def _plan(self, texts: Iterable[Text]) -> None:
        """Put texts on the ladder, each once; one that was swept away before it went out is wanted again.

        What has been said of an earlier version of the same appointment, at the same time, is not said again.
        """
        there = {text.text_id: text for text in self.course.texts}
        said = {_appointment(text) for text in there.values() if text.state in ATTEMPTED}
        planned: dict[UUID, Text] = {}
        for text in texts:
            known = there.get(text.text_id)
            if known is None:
                if text.session_id is None or _appointment(text) not in said:
                    planned[text.text_id] = text
            elif known.state is TextState.SCHEDULED:
                if known.tells != text.tells:  # it tells of one more
                    planned[text.text_id] = known._replace(tells=text.tells)
            elif known.reason is SuppressedReason.SUPERSEDED and self.course.wants(known):
                as_planned = text if text.kind in AFTER_COURSE else known
                planned[text.text_id] = as_planned._replace(
                    state=TextState.SCHEDULED, reason=None, look_at=text.look_at, traceparent=text.traceparent
                )
        if planned:
            self.course = self.course.with_texts(planned)

    def _recall(self, told: TextEvent, at: datetime) -> None:
        """What became of a text, as we had told before our database was set back; it never goes back."""
        text = next((t for t in self.course.texts if t.text_id == told.text_id), None)
        if text is None or text.state in FINAL:
            return
        match told:
            case TextSuppressed(reason=reason) if text.state is TextState.SCHEDULED:
                self.course = self.course.with_text(text._replace(state=TextState.SUPPRESSED, reason=reason))
            case TextSent(sent_at=sent_at) | TextDelivered(sent_at=sent_at) | TextFailed(sent_at=sent_at):
                sent_at = sent_at or at
                sent_on = None
                if text.kind is TextKind.PAYMENT_DUE and self._place is not None:
                    sent_on = self._place.location.local(sent_at).date()
                recalled = text._replace(state=TOLD[type(told)], recalled_at=sent_at, sent_on=sent_on)
                self.course = self.course.with_text(recalled)
            case _:
                pass  # what was in the provider's hands has an end of its own

    def _sweep(self, kind: TextKind | None) -> None:
        """Take back the waiting texts that the course no longer wants; one being sent is past taking back.

        Args:
            kind: of those that may be wanted no more; any, where it is None.
        """
        wants = self.course.wants
        swept = {
            t.text_id: t
            for t in self.course.texts
            if t.state is TextState.SCHEDULED and (kind is None or t.kind is kind) and not wants(t)
        }
        if swept:
            self.course = self.course.with_texts({id: superseded(text) for id, text in swept.items()})
            for text in swept.values():
                self.events.append(suppressed(self.course.course_id, text, SuppressedReason.SUPERSEDED))

    @property
    def _place(self) -> Place | None:
        return self.places.get(self.course.location or "")

    def _view(self, now: datetime) -> View | None:
        place = self._place
        return View(self.course, place, self.contacts, now, self.trace) if place is not None else None


def _appointment(text: Text) -> tuple[object, ...]:
    """What a text says, whichever version of the appointment it was planned for."""
    return text.kind, text.session_id, text.contact_id, text.nominal_at
