"""A course told to reminders, event by event: what the tests of its rules and of its service share."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid5

from services.reminders.people.contact import Contact
from services.reminders.profile import read_places
from services.reminders.rules.course import Course
from services.reminders.rules.decide import aggregate_of, decide
from services.reminders.rules.last_look import wording_of
from services.reminders.text.aggregates import COURSE as ABOUT_COURSE
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import TextKind
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.decision import Attention, Timer
from shared.decision.message import NAMESPACE, Message
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import companion, contact_updated
from tests.facts.course import COMPANION, COURSE, NOW, PATIENT

PROFILES = Path(__file__).parents[2] / "deploy" / "clinics"
PLACES = read_places(PROFILES, ("albany", "stella"))
STELLA = PLACES["stella"]

K = TextKind
PRE_VISIT = [K.PREPARATION, K.DAY_BEFORE, K.DAY_OF]
WAITING = TextState.SCHEDULED


def message(data: EventData, at: datetime, id: str = "") -> Message:
    """A message that reached Kafka at an instant."""
    id = id or str(uuid5(NAMESPACE, f"{data.type}{data.model_dump_json()}{at.isoformat()}"))
    return Message(id, data.type, "/test", at, at, data)


class Story:
    """The rules folded over events, without a database."""

    def __init__(self) -> None:
        self.course: Course | None = None
        self.contacts: dict[str, Contact] = {}
        self.events: list[EventData] = []
        self.timers: dict[str, Timer] = {}
        self.attention: list[Attention] = []

    def hear(self, data: EventData, at: datetime = NOW) -> list[EventData]:
        """Take one event in; returns what it made reminders tell."""
        told = message(data, at)
        about_course = aggregate_of(told).startswith(ABOUT_COURSE)
        state = self.course if about_course else self.contacts.get(data.key)
        decision = decide(PLACES, state, told, at, self.contacts)
        if isinstance(decision.state, Course):
            self.course = decision.state
        else:
            self.contacts[decision.state.contact_id] = decision.state
        self.events += decision.events
        self.timers |= {timer.kind: timer for timer in decision.timers}
        self.attention += decision.attention
        return list(decision.events)

    @property
    def person(self) -> Contact:
        """The patient."""
        return self.contacts[PATIENT]

    def fall_due(self, kind: str, at: datetime) -> None:
        """One of the course's timers."""
        self.hear(TimerDue(of=f"{ABOUT_COURSE}{COURSE}", kind=kind, subject="", due_at=at), at)

    def texts(self, *states: TextState) -> list[Text]:
        """The course's texts in these states, all where none is named, in order of time."""
        texts = self.course.texts if self.course else ()
        return sorted((t for t in texts if not states or t.state in states), key=lambda t: (t.nominal_at, t.text_id))

    def kinds(self, *states: TextState) -> list[TextKind]:
        """Their kinds."""
        return [text.kind for text in self.texts(*states)]

    def text(self, kind: TextKind) -> Text:
        """The only text of a kind."""
        (found,) = (text for text in self.texts() if text.kind is kind)
        return found

    def attempted(self, kind: TextKind) -> None:
        """As if dispatch had sent the text of a kind."""
        assert self.course is not None
        self.course = self.course.with_text(self.text(kind)._replace(state=TextState.SENT))


def plan_of(texts: Iterable[Text]) -> set[tuple[Any, ...]]:
    """What must be the same whatever the order in which things were heard; `due_at` is settled by the last look."""
    return {(t.text_id, t.kind, t.state, t.reason, t.nominal_at, t.deadline_at) for t in texts}


def told(*events: EventData) -> Story:
    """A story of these events."""
    return told_at(*((event, NOW) for event in events))


def told_at(*events: tuple[EventData, datetime]) -> Story:
    """A story of these events, each at its time."""
    story = Story()
    for event, at in events:
        story.hear(event, at)
    return story


def listed() -> Story:
    """Two confirmed sessions, and everybody has got the list of dates."""
    both = (COMPANION,)
    story = told(contact_updated(), companion(), course_accepted(2, companions=both))
    story.hear(session_confirmed(1, companions=both))
    story.hear(session_confirmed(2, companions=both))
    story.attempted(K.BOOKED)
    story.attempted(K.COMPANION_NOTICE)
    return story


def says(story: Story, kind: TextKind, person: str = PATIENT) -> str:
    """What the waiting text of a kind would say to somebody."""
    assert story.course is not None
    (text,) = (t for t in story.texts(WAITING) if t.kind is kind and t.contact_id == person)
    return wording_of(text, story.course, story.contacts.get(person), STELLA)
