"""What reminders hears, and what follows from it. Pure: no I/O, no clock, no random ids.

The map of the service stands in the middle: which fact goes to which rule. What a course's facts mean for its texts
stands in `planning` and `ladder`, numbers and consent in `people.contact`, what people write back in `people.hearing`.
Whether a text may really go out is judged when it is due (`last_look`, a batch at a time by `judging`).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.reminders.people.contact import ON_CONTACT, Contact, Contacts, decide_contact
from services.reminders.people.conversation import Conversation, ReplyCame
from services.reminders.people.hearing import decide_reply, opts_out
from services.reminders.rules.course import Course
from services.reminders.rules.draft import CourseDraft, TimerKind
from services.reminders.rules.planning import (
    on_completed,
    on_course,
    on_course_over,
    on_required,
    on_sending_recalled,
    on_session,
    on_settled,
    on_suppression_recalled,
    on_timer,
    on_withdrawn,
)
from services.reminders.text.aggregates import CONTACT, COURSE, PHONE, SERVICE, STOP
from services.reminders.text.clinic import Places
from services.reminders.text.text import TextState
from shared.contract.billing import PrepaymentOverdue, PrepaymentRequired, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.booking import (
    CourseAccepted,
    CourseChanged,
    CourseClosed,
    CourseCompleted,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import TextKind
from shared.contract.internal import PersonErased, TimerDue
from shared.contract.register import EventData
from shared.contract.reminders import TextDelivered, TextFailed, TextSent, TextSuppressed
from shared.decision.decision import Decision
from shared.decision.message import Message

State = Course | Contact | Conversation

Reaction = Callable[[CourseDraft, Any], None]

ON_COURSE: Final[Mapping[type[EventData], Reaction]] = {
    CourseAccepted: on_course,
    CourseChanged: on_course,
    CourseCompleted: on_course_over,
    CourseClosed: on_course_over,
    TextSent: on_sending_recalled,
    TextDelivered: on_sending_recalled,
    TextFailed: on_sending_recalled,
    TextSuppressed: on_suppression_recalled,
    TimerDue: on_timer,
}

ON_SESSION: Final[Mapping[type[EventData], Reaction]] = {
    SessionConfirmed: on_session,
    SessionUnconfirmed: on_session,
    SessionRescheduled: on_session,
    SessionCancelled: on_session,
    SessionReleased: on_session,
    SessionCheckedIn: on_session,
    SessionCompleted: on_completed,
    SessionMissed: on_session,
}

ON_PAYMENT: Final[Mapping[type[EventData], Reaction]] = {
    PrepaymentRequired: on_required,
    PrepaymentSatisfied: on_settled,
    PrepaymentOverdue: on_settled,
    PrepaymentWithdrawn: on_withdrawn,
}
"""What billing says; it waits while booking has not told of the course."""

FACTS: Final = frozenset({*ON_COURSE, *ON_SESSION, *ON_PAYMENT} - {TimerDue})
"""What is always about a course, and has its id for a key."""


def _hears() -> dict[str, frozenset[str]]:
    heard: dict[str, set[str]] = {ContactUpdated.topic: {PersonErased.type}}
    for event in (*FACTS, *ON_CONTACT):
        if hasattr(event, "topic") and event.topic != f"{SERVICE}.events":  # what we said ourselves is only recalled
            heard.setdefault(event.topic, set()).add(event.type)
    return {topic: frozenset(types) for topic, types in heard.items()}


HEARS: Final[Mapping[str, frozenset[str]]] = _hears()
"""What reminders acts upon, by topic."""


def aggregate_of(message: Message) -> str:
    """The course, contact or conversation that a message is about."""
    data = message.data
    if type(data) in FACTS:  # the most frequent first: to ask for one class after another is dear
        return COURSE + data.key
    match data:
        case TimerDue(of=aggregate):
            return aggregate
        case ReplyCame(body=body):
            return (STOP if opts_out(body) else PHONE) + data.key
        case _:
            return CONTACT + data.key


def decide(
    places: Places, state: State | None, message: Message, now: datetime, contacts: Contacts
) -> Decision[State, Contacts]:
    """What follows from one message.

    Args:
        places: every served location.
        contacts: those that the batch's courses and conversations need, by id.
    """
    data = message.data
    if type(data) in FACTS or isinstance(data, TimerDue):
        assert state is None or isinstance(state, Course)
        return decide_course(places, state, message, now, contacts)
    if isinstance(data, ReplyCame):
        assert isinstance(state, Conversation)
        return Decision(*decide_reply(places, state, message, contacts))
    assert state is None or isinstance(state, Contact)
    return Decision(*decide_contact(places, state, message, contacts))


def decide_course(
    places: Places, course: Course | None, message: Message, now: datetime, contacts: Contacts
) -> Decision[State, Contacts]:
    """What a fact means for a course's texts, and then what had waited for it, each as of when it came."""
    draft = CourseDraft(places, course or Course(UUID(message.data.key.removeprefix(COURSE))), message, now, contacts)
    _hear(draft)
    if (waiting := draft.course.waiting) and draft.course.patient_id is not None:
        draft.course = draft.course._replace(waiting=())
        draft.set_timer(TimerKind.UNKNOWN_COURSE, None)
        for earlier in waiting:
            draft.message, draft.now = earlier, earlier.arrived_at
            _hear(draft)
    return draft.decided(draft.course)


def _hear(draft: CourseDraft) -> None:
    """Take the draft's message in, and sweep away the texts that the course does not want any more."""
    data, before = draft.message.data, draft.course
    changed: TextKind | None = None  # the kind of the texts that may be wanted no more; any
    if (on_payment := ON_PAYMENT.get(type(data))) is not None:  # the most frequent first
        changed = TextKind.PAYMENT_DUE
        if before.patient_id is None:
            draft.course = before._replace(waiting=draft.wait(before.waiting))
        else:
            on_payment(draft, data)
    else:
        (ON_SESSION.get(type(data)) or ON_COURSE[type(data)])(draft, data)
    if draft.course is not before:
        draft.sweep(changed)


def first_due(changed: Collection[State], contacts: Contacts) -> datetime | None:
    """The earliest instant at which a text must be looked at because of what has changed."""
    looks: list[datetime] = []
    for person in (*contacts.values(), *(state for state in changed if isinstance(state, Contact))):
        looks += (text.look_at for text in person.answers)
        if person.look_at is not None:
            looks.append(person.look_at)
    for state in changed:
        if isinstance(state, Course):
            looks += (t.look_at for t in state.texts if t.text_id in state.unsaved and t.state is TextState.SCHEDULED)
    return min(looks, default=None)
