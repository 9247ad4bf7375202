"""Reminders without a database: rules, last look and outcomes folded in memory, from one due instant to the next.

What went out stands in `sent`; what was told to reminders, in `told`. `tests.reminders_oracle` judges by these alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.reminders.people.contact import Contact
from services.reminders.people.messages import ConsentRecorded
from services.reminders.rules.course import Course
from services.reminders.rules.decide import aggregate_of, decide
from services.reminders.rules.judging import Claim, Due
from services.reminders.rules.last_look import NONE, Pauses
from services.reminders.rules.outcome import Attempted, Report, Settled, from_outcome, from_report
from services.reminders.text.aggregates import COURSE
from services.reminders.text.clinic import Places
from services.reminders.text.provider import Accepted, Outcome, OutgoingText
from services.reminders.text.text import Text, TextState
from shared.contract.register import EventData
from shared.contract.reminders import ConsentChanged, TextDelivered, TextFailed, TextSent, TextSuppressed
from shared.decision.message import Message
from tests.stand_ins.reminders_story import message


@dataclass(frozen=True)
class Sent:
    """One call to the provider, what it was about, and what the provider did.

    Attributes:
        heard: how many messages came before it.
        paused: how many changes of the pauses came before it.
    """

    at: datetime
    heard: int
    paused: int
    course_id: UUID | None
    contact_id: str
    text: Text
    outgoing: OutgoingText
    outcome: Outcome


WENT_OUT = TextSent | TextDelivered | TextFailed

Provider = Callable[[OutgoingText], Outcome]


def accepting(text: OutgoingText) -> Outcome:
    """A provider that takes everything."""
    return Accepted(f"SM{text.attempt_id.hex}")


@dataclass
class World:
    """Everything that reminders knows.

    Attributes:
        remembered: what the oracle has worked out already.
        opted_out: the last opt-out: the contact before and after it, what we told of it, and when.
    """

    places: Places
    now: datetime
    provider: Provider = accepting
    pauses: Pauses = NONE
    courses: dict[UUID, Course] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    answers: dict[UUID, Text] = field(default_factory=dict)
    attempts: dict[UUID, int] = field(default_factory=dict)
    attempted: dict[UUID, Attempted] = field(default_factory=dict)
    told: list[tuple[datetime, EventData]] = field(default_factory=list)
    paused: list[Pauses] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    events: list[EventData] = field(default_factory=list)
    remembered: dict[Any, Any] = field(default_factory=dict)
    opted_out: tuple[Contact, Contact, ConsentChanged, datetime] | None = None

    def hear(self, data: EventData) -> None:
        """Take one message in."""
        self.told.append((self.now, data))
        heard = message(data, self.now, id=f"message-{len(self.told)}")
        about = aggregate_of(heard)
        state = self.courses.get(UUID(about.removeprefix(COURSE))) if about.startswith(COURSE) else None
        before = self.contacts.get(data.key)
        for event in self._decide(heard, state):
            if isinstance(data, ConsentRecorded) and isinstance(event, ConsentChanged) and not event.allowed:
                assert before is not None
                self.opted_out = (before, self.contacts[data.key], event, self.now)

    def _decide(self, heard: Message, state: Course | None) -> tuple[EventData, ...]:
        decision = decide(self.places, state, heard, heard.arrived_at, self.contacts)
        self.events += decision.events
        if isinstance(decision.state, Course):
            self.courses[decision.state.course_id] = decision.state._replace(unsaved=frozenset())
            return decision.events
        contact = decision.state
        self.answers |= {text.text_id: text for text in contact.answers}
        if contact.look_at is not None:
            self._look_again(contact.contact_id, contact.look_at)
        self.contacts[contact.contact_id] = replace(contact, unsaved=(), answers=(), look_at=None, renumbered_at=None)
        return decision.events

    def recallable(self) -> list[UUID]:
        """The texts of courses of which our own topic tells that they went out, or failed."""
        told = {event.text_id for event in self.events if isinstance(event, WENT_OUT) and event.course_id is not None}
        return sorted(told & self.attempted.keys())

    def recall_sending(self, text_id: UUID) -> None:
        """The database was set back to before a text went out; our own topic tells of it."""
        self._put(self._text(text_id)._replace(state=TextState.SCHEDULED, sent_on=None))
        del self.attempts[text_id], self.attempted[text_id]
        for event in self.events[:]:
            if isinstance(event, WENT_OUT) and event.text_id == text_id:
                assert event.course_id is not None
                self._decide(message(event, event.sent_at or self.now), self.courses[event.course_id])

    def opt_out_can_be_recalled(self) -> bool:
        """Whether the last that was heard of the person is an opt-out that only we know of."""
        return self.opted_out is not None and self.contacts[self.opted_out[0].contact_id] is self.opted_out[1]

    def recall_opt_out(self) -> None:
        """The database was set back to before an opt-out; our own topic tells of it."""
        assert self.opted_out is not None
        before, _, event, at = self.opted_out
        self.contacts[before.contact_id] = before
        self._decide(message(event, at), None)

    def next_look(self) -> datetime | None:
        """When a text must be looked at next."""
        return min((text.look_at for _, text in self._waiting()), default=None)

    def pause(self, pauses: Pauses) -> None:
        """Pause these texts, and no others from now on."""
        self.paused.append(pauses)
        self.pauses = pauses
        for _, text in self._waiting():
            if text.due_at <= self.now < text.look_at:
                self._put(text._replace(look_at=text.due_at))

    def walk(self, to: datetime) -> None:
        """Through every due instant up to one."""
        while due := [(text.look_at, text.text_id, course) for course, text in self._waiting() if text.look_at <= to]:
            at, text_id, course = min(due, key=lambda item: (item[0], item[1]))
            self.now = max(self.now, at)
            self._settle(text_id, course)
        self.now = to

    def report(self, text_id: UUID, report: Report) -> None:
        """The provider says something of a text's attempt."""
        one = self.attempted[text_id]
        settled = from_report(one._replace(text=self._text(text_id)), report, self.now)
        if settled is not None:
            self._apply(text_id, settled)

    def _settle(self, text_id: UUID, course: Course | None) -> None:
        text = self._text(text_id)
        place = self.places[(course.location if course else text.location) or ""]
        number = self.attempts.get(text_id, 0) + 1
        claim = Claim(self.now, self.pauses)
        claim.judge_one(Due(text, course, self.contacts.get(text.contact_id), place, number))
        self.events += [TextSuppressed.model_validate_json(event.value) for event in claim.outgoing]
        for changes in (*claim.waits, *claim.suppressions):
            self._put(text._replace(**{key: value for key, value in changes.items() if key != "text_id"}))
        for attempt in claim.attempts:
            self.attempts[text_id] = number
            self._put(text._replace(state=TextState.SENDING, sent_on=attempt.of.sent_on))
            self.attempted[text_id] = attempt.of
            outcome = self.provider(attempt.outgoing)
            course_id = course.course_id if course else None
            self.sent.append(
                Sent(
                    self.now,
                    len(self.told),
                    len(self.paused),
                    course_id,
                    text.contact_id,
                    text,
                    attempt.outgoing,
                    outcome,
                )
            )
            self._apply(text_id, from_outcome(attempt.of, outcome, self.now, traceable=True))

    def _apply(self, text_id: UUID, settled: Settled) -> None:
        columns, text = settled.columns, self._text(text_id)
        known: dict[str, Any] = {
            "state": columns["state"],
            "look_at": columns["look_at"],
            "sent_on": columns["sent_on"],
        }
        self._put(text._replace(**known))
        self.attempted[text_id] = self.attempted[text_id]._replace(
            sid=columns["provider_sid"], status=columns["provider_status"]
        )
        self.events += settled.events

    def _waiting(self) -> list[tuple[Course | None, Text]]:
        scheduled = TextState.SCHEDULED
        of_courses = [(c, t) for c in self.courses.values() for t in c.texts if t.state is scheduled]
        return [*of_courses, *((None, t) for t in self.answers.values() if t.state is scheduled)]

    def _look_again(self, contact_id: str, at: datetime) -> None:
        for course, text in self._waiting():
            if course is not None and text.contact_id == contact_id:
                self._put(text._replace(look_at=min(at, text.look_at)))

    def _text(self, text_id: UUID) -> Text:
        if text_id in self.answers:
            return self.answers[text_id]
        return next(t for course in self.courses.values() for t in course.texts if t.text_id == text_id)

    def _put(self, text: Text) -> None:
        if text.text_id in self.answers:
            self.answers[text.text_id] = text
            return
        course = next(c for c in self.courses.values() if any(t.text_id == text.text_id for t in c.texts))
        self.courses[course.course_id] = course.with_text(text)._replace(unsaved=frozenset())
