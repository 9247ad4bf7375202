"""What each fact means for a course's texts: which are planned because of it, and what of the course changes. Pure.

Each rule puts what follows into the draft. Which fact goes to which of them, and what is swept away after each, stands
in `decide`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from services.reminders.rules import ladder
from services.reminders.rules.course import Session
from services.reminders.rules.draft import CourseDraft, TimerKind
from services.reminders.text.text import Text, TextState
from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.booking import (
    BookedSession,
    CourseAccepted,
    CourseClosed,
    CourseCompleted,
    SessionCompleted,
    SessionEvent,
)
from shared.contract.closed_sets import Needs, SessionState, TextKind
from shared.contract.internal import TimerDue
from shared.contract.reminders import TextDelivered, TextEvent, TextFailed, TextSent, TextSuppressed

# Booking --------------------------------------------------------------------------------------------------------------


def on_course(draft: CourseDraft, data: CourseAccepted) -> None:
    """A course was accepted or changed, and is told whole."""
    _on_booked(draft, data, data.sessions, None)


def on_session(draft: CourseDraft, data: SessionEvent) -> None:
    """A session is another now; what follows depends on its state alone, whatever the fact is called."""
    _on_booked(draft, data, (data,), None)


def on_completed(draft: CourseDraft, data: SessionCompleted) -> None:
    """A treatment took place: its texts count from when it ended."""
    _on_booked(draft, data, (data,), data.ended_at)


def on_course_over(draft: CourseDraft, data: CourseCompleted | CourseClosed) -> None:
    """A course is over: no text follows, for its sessions have settled each of them."""


def _on_booked(
    draft: CourseDraft,
    data: CourseAccepted | SessionEvent,
    sessions: Sequence[BookedSession],
    ended_at: datetime | None,
) -> None:
    first = draft.course.patient_id is None
    if first or any(_is_news(draft, session) for session in sessions):
        _on_people(draft, data)
    if first and draft.place is None:
        detail = "no served clinic has the location of this course: it gets no texts"
        draft.raise_attention("unknown_location", data.course_id, detail)
    for session in sessions:
        _on_booked_session(draft, session, ended_at)


def _is_news(draft: CourseDraft, booked: BookedSession) -> bool:
    known = draft.course.session(booked.session_id)
    return known is None or booked.version >= known.version


def _on_people(draft: CourseDraft, data: CourseAccepted | SessionEvent) -> None:
    """Whom a course is about; who comes along from now on learns of the dates."""
    course = draft.course
    people = (data.patient_id, data.treatment, data.companions)
    if (course.patient_id, course.treatment, course.companions) != people:
        draft.course = course._replace(
            patient_id=data.patient_id,
            location=course.location or data.location,
            treatment=data.treatment,
            companions=data.companions,
        )
        if (view := draft.view()) is not None:
            draft.plan(ladder.on_companions(view))


def _on_booked_session(draft: CourseDraft, booked: BookedSession, ended_at: datetime | None) -> None:
    """A session as booking told of it: what is older than what we know counts no more."""
    known = draft.course.session(booked.session_id)
    if known is not None and booked.version < known.version:
        return
    ended_at = ended_at or (known.ended_at if known else None)
    session = Session(booked.session_id, booked.version, booked.state, booked.starts_at, ended_at)
    if session == known:
        return
    draft.course = draft.course.with_session(session)
    if (view := draft.view()) is None:
        return
    match session.state:
        case SessionState.CONFIRMED:
            if known is not None and known.state is not SessionState.HELD and known.starts_at != session.starts_at:
                draft.plan(ladder.on_move(view, session, known.starts_at))
            draft.plan(ladder.on_confirmation(view, session))
        case SessionState.COMPLETED if session.ended_at is not None:
            draft.plan(ladder.after_visit(view, session))
        case SessionState.CANCELLED | SessionState.RELEASED as state:
            if known is not None and known.state is not state:
                kind = TextKind.CANCELLED if state is SessionState.CANCELLED else TextKind.RELEASED
                draft.plan(ladder.on_end(view, kind, session, known.starts_at))
    if draft.course.finished:
        draft.plan(ladder.after_course(view))


# Billing --------------------------------------------------------------------------------------------------------------


def on_required(draft: CourseDraft, data: PrepaymentRequired) -> None:
    """Money is demanded for a session, or, of a session that is covered, no longer."""
    if data.needs is not Needs.MONEY:
        _settle(draft, data.session_id)
        return
    owed = draft.course.owed
    if data.session_id not in owed:
        draft.course = draft.course._replace(owed=owed | {data.session_id})
    if (view := draft.view()) is not None:
        draft.plan(ladder.on_demand(view))


def on_settled(draft: CourseDraft, data: PrepaymentSatisfied | PrepaymentOverdue) -> None:
    """A session is paid or covered, or it is too late to pay for it: nobody is asked for its money any more."""
    _settle(draft, data.session_id)


def on_withdrawn(draft: CourseDraft, data: PrepaymentWithdrawn) -> None:
    """A grant is asked back: nothing follows yet, for a new demand comes when booking has answered."""


def _settle(draft: CourseDraft, session_id: UUID) -> None:
    owed = draft.course.owed
    if session_id in owed:
        draft.course = draft.course._replace(owed=owed - {session_id})


# Our own deadlines, and our own words after the database was set back -------------------------------------------------


def on_timer(draft: CourseDraft, timer: TimerDue) -> None:
    """A deadline of this course has passed.

    Raises:
        ValueError: it is none of reminders' deadlines.
    """
    match TimerKind(timer.kind):
        case TimerKind.UNKNOWN_COURSE as kind:
            if draft.course.patient_id is None:
                detail = "billing told of a course that booking has not told of"
                draft.raise_attention(kind, draft.course.course_id, detail)
        case other:
            assert_never(other)


FINAL: Final = frozenset({TextState.DELIVERED, TextState.FAILED, TextState.SUPPRESSED})

STATE_AFTER: Final[Mapping[type[TextEvent], TextState]] = {
    TextSent: TextState.SENT,
    TextDelivered: TextState.DELIVERED,
    TextFailed: TextState.FAILED,
}
"""In which state a text is that went out, by the event with which we told of it."""


def on_sending_recalled(draft: CourseDraft, data: TextSent | TextDelivered | TextFailed) -> None:
    """A text went out before our database was set back, as our own topic tells; it never goes back."""
    text = _unsettled(draft, data.text_id)
    if text is None:
        return
    sent_at = data.sent_at or draft.message.time
    sent_on = None
    if text.kind is TextKind.PAYMENT_DUE and draft.place is not None:
        sent_on = draft.place.location.local(sent_at).date()
    recalled = text._replace(state=STATE_AFTER[type(data)], recalled_at=sent_at, sent_on=sent_on)
    draft.course = draft.course.with_text(recalled)


def on_suppression_recalled(draft: CourseDraft, data: TextSuppressed) -> None:
    """A text was suppressed before our database was set back: it stays so, unless the provider has it by now."""
    text = _unsettled(draft, data.text_id)
    if text is not None and text.state is TextState.SCHEDULED:
        draft.course = draft.course.with_text(text._replace(state=TextState.SUPPRESSED, reason=data.reason))


def _unsettled(draft: CourseDraft, text_id: UUID) -> Text | None:
    """The text with this id, if something can still become of it."""
    text = next((t for t in draft.course.texts if t.text_id == text_id), None)
    return text if text is not None and text.state not in FINAL else None
