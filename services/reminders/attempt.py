"""One batch of due texts being judged, and what the outcome of an attempt means.

No database and no network: what stands here are decisions as columns and events, which `dispatch` commits before and
after it sends.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID, uuid5

from jinja2 import TemplateError

from services.reminders.contact import Contact
from services.reminders.course import Course, Text, TextState
from services.reminders.ladder import Send, Suppress, Wait, judge, wording_of
from services.reminders.profile import Place
from services.reminders.rules import COURSE, SERVICE, suppressed
from services.reminders.sms import Accepted, Outcome, OutgoingText, Refused, Unknown, Unsent
from services.reminders.wording import segments
from shared import metrics, outbox
from shared.batch import publication
from shared.contract import EventData, TextFailed, TextKind, TextSent, TimerDue
from shared.decision import Attention
from shared.envelope import NAMESPACE, Message, event_id

log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=5)
"""Whoever has claimed a text records its outcome within this, or is dead; longer than any call to a provider."""

FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=15)
"""Back-off after an attempt that was proven not to have sent anything; doubled each time."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A text that is written down as being sent."""

    course_id: UUID
    text: Text
    outgoing: OutgoingText
    number: int
    sent_on: date | None


class Claim:
    """One batch being judged: what is to be written down, and what is to be sent after the commit."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.handled = 0
        self.waits: list[dict[str, Any]] = []
        self.suppressions: list[dict[str, Any]] = []
        self.sendings: list[dict[str, Any]] = []
        self.attempts: list[Attempt] = []
        self.outgoing: list[outbox.Outgoing] = []
        self.attention: list[tuple[str, Attention]] = []

    def settle(self, course: Course, text: Text, place: Place, contact: Contact | None, number: int) -> Course:
        """Judge one text; returns the course as the batch's later texts must see it."""
        self.handled += 1
        verdict = judge(text, course, contact, place, self.now)
        match verdict:
            case Wait(until=until):
                self.waits.append({"text_id": text.text_id, "due_at": until, "look_at": until})
            case Suppress(reason=reason):
                self.suppressions.append({"text_id": text.text_id, "state": TextState.SUPPRESSED, "reason": reason})
                event = suppressed(course, text, reason)
                self.outgoing.append(publication_of(course.course_id, text, event, self.now, self.now.isoformat()))
                metrics.TEXTS.labels(f"suppressed_{reason}").inc()
            case Send():
                try:
                    return self._send(course, text, place, verdict, number)
                except TemplateError:
                    log.exception("a wording failed", extra={"service": SERVICE, "text_id": text.text_id})
                    later = {"text_id": text.text_id, "due_at": text.due_at, "look_at": self.now + LONGEST_PAUSE}
                    self.waits.append(later)
                    detail = f"the wording of {text.kind} fails for this text: it is tried again"
                    what = Attention("wording_failed", str(text.text_id), detail)
                    self.attention.append((f"{COURSE}{course.course_id}", what))
            case _:
                assert_never(verdict)
        return course

    def _send(self, course: Course, text: Text, place: Place, verdict: Send, number: int) -> Course:
        contact, now = verdict.contact, self.now
        assert contact.phone is not None
        assert contact.consent is not None
        body = wording_of(text, course, contact, place)
        outgoing = OutgoingText(
            text_id=text.text_id,
            attempt_id=uuid5(NAMESPACE, f"attempt/{text.text_id}/{number}"),
            clinic=place.clinic,
            kind=text.kind,
            to=contact.phone,
            body=body,
            segments=segments(body),
            at=now,
            valid_for=verdict.until - now,
        )
        sent_on = place.location.local(now).date() if text.kind is TextKind.PAYMENT_DUE else None
        self.attempts.append(Attempt(course.course_id, text, outgoing, number, sent_on))
        self.sendings.append(
            {
                "text_id": text.text_id,
                "state": TextState.SENDING,
                "attempt_id": outgoing.attempt_id,
                "attempts": number,
                "attempted_at": now,
                "lease_until": now + LEASE,
                "body": body,
                "segments": outgoing.segments,
                "consent_id": contact.consent.consent_id,
                "sent_on": sent_on,
            }
        )
        metrics.TIMER_LATENESS.observe(max(0.0, (now - text.due_at).total_seconds()))
        return course.with_text(text._replace(state=TextState.SENDING, sent_on=sent_on))


def record_of(attempt: Attempt, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """The columns that an outcome sets."""
    text, outgoing = attempt.text, attempt.outgoing
    paid_day = {"sent_on": None if isinstance(outcome, Unsent) else attempt.sent_on}
    plain: dict[str, Any] = {
        "text_id": text.text_id,
        "lease_until": None,
        "sent_at": None,
        "provider_sid": None,
        "code": None,
    }
    plain |= {"look_at": text.look_at} | paid_day
    match outcome:
        case Accepted(sid=sid):
            return plain | {"state": TextState.SENT, "sent_at": outgoing.at, "provider_sid": sid}
        case Refused(code=code):
            return plain | {"state": TextState.FAILED, "code": code}
        case Unsent():
            pause = min(FIRST_PAUSE * 2 ** min(attempt.number - 1, 10), LONGEST_PAUSE)
            return plain | {"state": TextState.SCHEDULED, "look_at": now + pause}
        case Unknown():
            return plain | {"state": TextState.UNKNOWN}
        case _:
            assert_never(outcome)


def event_of(attempt: Attempt, outcome: Outcome) -> EventData | None:
    """What is told of an outcome; of an unknown one nothing, until somebody knows."""
    text, outgoing = attempt.text, attempt.outgoing
    told = {
        "text_id": text.text_id,
        "contact_id": text.contact_id,
        "course_id": attempt.course_id,
        "session_id": text.session_id,
        "kind": text.kind,
        "due_at": text.due_at,
        "segments": outgoing.segments,
    }
    match outcome:
        case Accepted():
            return TextSent.model_validate(told | {"sent_at": outgoing.at})
        case Refused(code=code):
            return TextFailed.model_validate(told | {"code": code})
        case Unsent() | Unknown():
            return None
        case _:
            assert_never(outcome)


def publication_of(course_id: UUID, text: Text, event: EventData, now: datetime, once: str) -> outbox.Outgoing:
    """An event of ours that no message caused but the time."""
    due = TimerDue(of=f"{COURSE}{course_id}", kind=text.kind, subject=str(text.text_id), due_at=text.due_at)
    cause = Message(f"{text.text_id}/{event.type}/{once}", TimerDue.type, "dispatch", now, now, due)
    return publication(SERVICE, event, cause, event_id(SERVICE, cause.id, 0))
