"""One phone and what was said on it: the state that a reply is decided upon. Pure.

A conversation belongs to a phone, not to a person: several contacts may have the same number.
"""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from shared.contract.closed_sets import Intent
from shared.contract.fields import Id
from shared.contract.register import EventData

LONGEST: Final = 4096
"""Characters of a text that came; a carrier's longest has 1600."""


class ReplyCame(EventData, type="chairtime.reply.came"):
    """Somebody has written to a number of `clinic`; None where it is no clinic's. `sid` is the provider's id."""

    conversation_id: UUID
    sid: Id
    body: Annotated[str, Field(max_length=LONGEST)]
    clinic: str | None

    @property
    def key(self) -> str:
        return str(self.conversation_id)


class Visit(NamedTuple):
    """A confirmed appointment to come of which a person has had a text."""

    contact_id: str
    course_id: UUID
    session_id: UUID
    starts_at: datetime
    location: str


class Newest(NamedTuple):
    """The newest text to this phone: whom it was for, about which course, and in whose name."""

    contact_id: str
    course_id: UUID | None
    location: str | None


class Reply(NamedTuple):
    """A text that came, and what was made of it."""

    sid: str
    contact_id: str | None
    course_id: UUID | None
    session_id: UUID | None
    intent: Intent
    body: str
    received_at: datetime


class Conversation(NamedTuple):
    """One phone.

    Attributes:
        people: the contacts that have this number, patients first.
        visits: by the time of the appointment.
        asked: what was said when we had to ask for the time of the appointment, and when.
        answered: when our answers of late went out.
        unsaved: for the store: texts that it does not have.
    """

    conversation_id: UUID
    phone: str | None = None
    people: tuple[str, ...] = ()
    visits: tuple[Visit, ...] = ()
    newest: Newest | None = None
    asked: Intent | None = None
    asked_at: datetime | None = None
    answered: tuple[datetime, ...] = ()
    unsaved: tuple[Reply, ...] = ()
