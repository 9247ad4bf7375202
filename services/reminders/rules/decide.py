"""What reminders hears, and what follows from it. Pure: no I/O, no clock, no random ids.

Courses plan and sweep texts (`planning`, `ladder`); contacts keep numbers and consent (`people.contact`). Whether a
text may really go out is judged when it is due (`last_look`), by `sending.dispatch`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from services.reminders.people.contact import Contact, Contacts, decide_contact
from services.reminders.people.conversation import Conversation, ReplyCame
from services.reminders.people.hearing import decide_reply, opts_out
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.rules.course import Course
from services.reminders.rules.planning import _HEARD, _Draft
from services.reminders.text.aggregates import CONTACT, COURSE, PHONE, STOP
from services.reminders.text.clinic import Places
from services.reminders.text.text import TextState
from shared.contract.clinic import ContactUpdated
from shared.contract.internal import PersonErased, TimerDue
from shared.contract.reminders import ConsentChanged
from shared.decision.decision import Decision
from shared.decision.message import Message

_OF_A_COURSE: Final = frozenset(_HEARD) - {ContactUpdated}

HEARS: Final[Mapping[str, frozenset[str]]] = {
    topic: frozenset(e.type for e in _HEARD if e.topic == topic) | more
    for topic, more in {
        "booking.events": frozenset[str](),
        "billing.events": frozenset[str](),
        "clinic.contacts": frozenset({PersonErased.type}),
    }.items()
}

State = Course | Contact | Conversation


def aggregate_of(message: Message) -> str:
    """The course, contact or conversation that a message is about."""
    if type(message.data) in _OF_A_COURSE:  # the most frequent first: to ask for one class after another is dear
        return COURSE + message.data.key
    match message.data:
        case TimerDue(of=aggregate):
            return aggregate
        case ContactUpdated() | PersonErased() | ConsentRecorded() | ConsentChanged() | AnswerWanted():
            return CONTACT + message.data.key
        case ReplyCame(body=body):
            return (STOP if opts_out(body) else PHONE) + message.data.key
        case _:
            return COURSE + message.data.key


def decide(
    places: Places, state: State | None, message: Message, now: datetime, contacts: Contacts
) -> Decision[State, Contacts]:
    """What follows from one message. `contacts` are those that the batch's courses need, by id."""
    if type(message.data) in _OF_A_COURSE:
        assert state is None or isinstance(state, Course)
        return decide_course(places, state, message, now, contacts)
    if isinstance(message.data, ReplyCame):
        assert isinstance(state, Conversation)
        replied = decide_reply(places, state, message, contacts)
        return Decision(replied.state, replied.events, (), replied.attention, replied.context)
    assert not isinstance(state, Conversation)
    if aggregate_of(message).startswith(CONTACT):
        assert not isinstance(state, Course)
        decision = decide_contact(places, state, message, contacts)
        return Decision(decision.state, decision.events, (), decision.attention, decision.context)
    assert not isinstance(state, Contact)
    return decide_course(places, state, message, now, contacts)


def decide_course(
    places: Places, course: Course | None, message: Message, now: datetime, contacts: Contacts
) -> Decision[State, Contacts]:
    """What an event of booking or billing means for a course's texts."""
    draft = _Draft(places, course or Course(UUID(aggregate_of(message).removeprefix(COURSE))), contacts)
    draft.hear(message, now)
    return Decision(draft.course, tuple(draft.events), tuple(draft.timers), tuple(draft.attention))


def next_look(changed: Collection[State], contacts: Contacts) -> datetime | None:
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
