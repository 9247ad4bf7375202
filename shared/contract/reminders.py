"""What reminders tells on `reminders.events`."""

from uuid import UUID

from shared.contract.closed_sets import Intent, SuppressedReason, TextKind
from shared.contract.fields import Flag, Id, Instant, Name
from shared.contract.register import EventData


class TextEvent(EventData):
    """What became of one text; its key is the course, or the contact where it belongs to none."""

    text_id: UUID
    contact_id: Id
    course_id: UUID | None = None
    session_id: UUID | None = None
    kind: TextKind
    due_at: Instant

    @property
    def key(self) -> str:
        return str(self.course_id) if self.course_id else self.contact_id


class TextSent(TextEvent, type="reminders.text.sent.v1", topic="reminders.events"):
    """The provider took the text."""

    sent_at: Instant
    segments: int


class TextDelivered(TextEvent, type="reminders.text.delivered.v1", topic="reminders.events"):
    """The handset has the text."""

    sent_at: Instant
    segments: int


class TextFailed(TextEvent, type="reminders.text.failed.v1", topic="reminders.events"):
    """The provider refused the text, or the carrier did later (then it had been sent); `code` is the provider's."""

    sent_at: Instant | None = None
    segments: int
    code: str


class TextSuppressed(TextEvent, type="reminders.text.suppressed.v1", topic="reminders.events"):
    """The text was never sent, and why."""

    reason: SuppressedReason


class ReplyReceived(EventData, type="reminders.reply.received.v1", topic="reminders.events"):
    """A patient wrote back; never what they wrote."""

    contact_id: Id
    course_id: UUID | None = None
    session_id: UUID | None = None
    intent: Intent

    @property
    def key(self) -> str:
        return str(self.course_id) if self.course_id else self.contact_id


class ConsentChanged(EventData, type="reminders.consent.changed.v1", topic="reminders.events"):
    """A person may be texted from now on, or not any more."""

    contact_id: Id
    allowed: Flag
    source: Name

    @property
    def key(self) -> str:
        return self.contact_id
