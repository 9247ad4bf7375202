"""One batch of due texts being judged: decisions as columns and events, committed by `dispatch` before it sends.

No database, no network and no metrics: what is counted is counted after the commit.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple, assert_never
from uuid import UUID

from jinja2 import TemplateError

from services.reminders.people.contact import Contact
from services.reminders.rules.course import Course
from services.reminders.rules.ladder import suppressed
from services.reminders.rules.last_look import (
    NONE,
    Paused,
    Pauses,
    Send,
    Suppress,
    Wait,
    judge,
    judge_answer,
    wording_of,
)
from services.reminders.rules.outcome import LONGEST_PAUSE, Attempted
from services.reminders.text.aggregates import CONTACT, COURSE, SERVICE
from services.reminders.text.clinic import TextingPlace
from services.reminders.text.provider import OutgoingText
from services.reminders.text.segments import segments
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import TextKind
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision import trace
from shared.decision.decision import Attention
from shared.decision.message import Message, Outgoing, derived_id, event_id, publication

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=5)
"""Whoever has claimed a text records its outcome within this, or is dead; longer than any call to a provider."""


class Due(NamedTuple):
    """A text that is due, and what is known of what it is about; an answer has no course. `number` counts attempts."""

    text: Text
    course: Course | None
    contact: Contact | None
    place: TextingPlace
    number: int

    @property
    def course_id(self) -> UUID | None:
        """Its course, if it has one."""
        return self.course.course_id if self.course else None


class Attempt(NamedTuple):
    """A text that is written down as being sent."""

    of: Attempted
    outgoing: OutgoingText


@dataclass(slots=True)
class Room:
    """How many segments each clinic's number may send in this batch; one that is not named has no limit."""

    left: Mapping[str, float]
    taken: dict[str, int] = field(default_factory=dict)

    def take(self, clinic: str, count: int) -> bool:
        """Take room for one text; the first always has some."""
        taken = self.taken.get(clinic, 0)
        if taken and taken + count > self.left.get(clinic, float("inf")):
            return False
        self.taken[clinic] = taken + count
        return True


class Claim:
    """One batch being judged: what is to be written down, and what is to be sent after the commit.

    Args:
        expected: patients who have appointments in another course.
    """

    def __init__(
        self, now: datetime, pauses: Pauses = NONE, room: Room | None = None, expected: frozenset[str] = frozenset()
    ) -> None:
        self.now = now
        self.handled = 0
        self.waits: list[dict[str, Any]] = []
        self.suppressions: list[dict[str, Any]] = []
        self.sendings: list[dict[str, Any]] = []
        self.attempts: list[Attempt] = []
        self.outgoing: list[Outgoing] = []
        self.attention: list[tuple[str, Attention]] = []
        self._pauses = pauses
        self._room = room or Room({})
        self._expected = expected

    def judge_one(self, due: Due) -> Course | None:
        """Judge one text; returns its course as the batch's later texts must see it."""
        text, now = due.text, self.now
        if due.course is None:
            verdict = judge_answer(text, due.contact, due.place, now, self._pauses)
        else:
            verdict = judge(text, due.course, due.contact, due.place, now, self._pauses, self._expected)
        self.handled += 1
        match verdict:
            case Wait(until=until):
                self.waits.append({"text_id": text.text_id, "due_at": until, "look_at": until})
            case Paused(until=until):
                self.waits.append({"text_id": text.text_id, "due_at": text.due_at, "look_at": until})
            case Suppress(reason=reason):
                self.suppressions.append({"text_id": text.text_id, "state": TextState.SUPPRESSED, "reason": reason})
                event = suppressed(due.course_id, text, reason)
                self.outgoing.append(publication_of(text, event, now, now.isoformat()))
            case Send():
                try:
                    return self._send(due, verdict)
                except TemplateError:
                    log.exception("a wording failed", extra=about(due.course_id, text))
                    later = {"text_id": text.text_id, "due_at": text.due_at, "look_at": now + LONGEST_PAUSE}
                    self.waits.append(later)
                    detail = f"the wording of {text.kind} fails for this text: it is tried again"
                    self._raise(due, Attention("wording_failed", str(text.text_id), detail))
            case _:
                assert_never(verdict)
        return due.course

    def _send(self, due: Due, verdict: Send) -> Course | None:
        text, contact, now = due.text, verdict.contact, self.now
        assert contact.phone is not None
        assert contact.consent is not None
        body = wording_of(text, due.course, contact, due.place)
        count = segments(body)
        if not self._room.take(due.place.clinic, count):
            self.handled -= 1  # it stays due
            return due.course
        outgoing = OutgoingText(
            text_id=text.text_id,
            attempt_id=derived_id(f"attempt/{text.text_id}/{due.number}"),
            clinic=due.place.clinic,
            kind=text.kind,
            to=contact.phone,
            body=body,
            segments=count,
            at=now,
            valid_for=verdict.until - now,
        )
        sent_on: date | None = None
        if text.kind is TextKind.PAYMENT_DUE:
            sent_on = due.place.location.local(now).date()
        attempted = Attempted(due.course_id, text, outgoing.attempt_id, due.number, now, count, sent_on)
        self.attempts.append(Attempt(attempted, outgoing))
        self.sendings.append(
            {
                "text_id": text.text_id,
                "state": TextState.SENDING,
                "attempt_id": outgoing.attempt_id,
                "attempts": due.number,
                "attempted_at": now,
                "lease_until": now + LEASE,
                "body": body,
                "segments": count,
                "consent_id": contact.consent.consent_id,
                "sent_on": sent_on,
            }
        )
        return due.course and due.course.with_text(text._replace(state=TextState.SENDING, sent_on=sent_on))

    def _raise(self, due: Due, what: Attention) -> None:
        self.attention.append((aggregate_of(due.course_id, due.text.contact_id), what))


def aggregate_of(course_id: UUID | None, contact_id: str) -> str:
    """What a text belongs to: a course, or, an answer, a person."""
    return f"{COURSE}{course_id}" if course_id else f"{CONTACT}{contact_id}"


def about(course_id: UUID | None, text: Text) -> dict[str, object]:
    """What a line of the log tells of a text: ids, never the person or the words."""
    traced = trace.id_of(text.traceparent) if text.traceparent else None
    return {"service": SERVICE, "course": course_id, "text_id": text.text_id, "trace_id": traced}


def publication_of(text: Text, event: EventData, now: datetime, once: str) -> Outgoing:
    """An event of ours that no message caused but the time."""
    cause = Message(f"{text.text_id}/{event.type}/{once}", TimerDue.type, "dispatch", now, now, event, text.traceparent)
    return publication(SERVICE, event, cause, event_id(SERVICE, cause.id, 0))
