"""A text from its plan to its end: its states, and what it is about. A pure value."""

from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.contract.closed_sets import SessionState, SuppressedReason, TextKind
from shared.decision.value import changed_often


class TextState(StrEnum):
    """Where a text stands. The rules move `scheduled` and `suppressed`; dispatch alone moves the others."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    """The attempt is written down; the provider may have it."""
    SENT = "sent"
    """The provider has it."""
    DELIVERED = "delivered"
    """The handset has it."""
    FAILED = "failed"
    """The provider refused it for good, or the carrier did later."""
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"
    """Nobody can tell whether the provider took it: never sent again; the provider's word settles it, or a person."""


ATTEMPTED: Final = frozenset({TextState.SENDING, TextState.SENT, TextState.DELIVERED, TextState.UNKNOWN})
"""The person has the text, or may have it."""

ANSWERS: Final = frozenset({TextKind.OPT_OUT_CONFIRMED, TextKind.HELP, TextKind.UNMONITORED_REPLY})
"""Answers to what a person has just written; they belong to no course."""

GIVEN_UP: Final = {TextKind.CANCELLED: SessionState.CANCELLED, TextKind.RELEASED: SessionState.RELEASED}
"""Texts that tell of any number of appointments which will not be, and the state that they tell of."""


class KnownAppointment(NamedTuple):
    """An appointment as a person knows it."""

    session_id: UUID
    at: datetime


@changed_often
class Text(NamedTuple):
    """One text of a course, or an answer to a person.

    Attributes:
        occasion: the day, on the clinic's calendar, that a payment text stands for.
        nominal_at: when the ladder wants it.
        due_at: when it is meant to go out, after quiet hours as far as the person is known.
        look_at: when dispatch looks at it next.
        deadline_at: from here on it is useless.
        sent_on: the clinic's day of a payment text's attempt.
        location: in whose name an answer goes out.
        traceparent: the trace of what planned it; None of a text that was planned before traces were kept.
        recalled_at: when it went out, where only reminders' own topic tells (see `sending.restoring`).
        tells: the appointments that a text takes away or moves.
    """

    text_id: UUID
    contact_id: str
    kind: TextKind
    session_id: UUID | None
    session_version: int | None
    occasion: date | None
    nominal_at: datetime
    due_at: datetime
    look_at: datetime
    deadline_at: datetime
    state: TextState = TextState.SCHEDULED
    reason: SuppressedReason | None = None
    sent_on: date | None = None
    location: str | None = None
    traceparent: str | None = None
    recalled_at: datetime | None = None
    tells: tuple[KnownAppointment, ...] = ()
