"""What reminders tells itself about a person, because they wrote, or staff said so by HTTP; never on a topic."""

from typing import Literal

from shared.contract.closed_sets import TextKind
from shared.contract.fields import Flag, Id, Instant, Name, Phone
from shared.contract.register import EventData


class _AboutContact(EventData):
    contact_id: Id

    @property
    def key(self) -> str:
        return self.contact_id


class ConsentRecorded(_AboutContact, type="chairtime.consent.recorded"):
    """A person said whether they want texts.

    `phone` is the number that it was said from: it counts for that number only. `answer_for` is the location in whose
    name the one confirmation of an opt-out goes out; without it there is none.
    """

    allowed: Flag
    wording: Name
    source: Name
    recorded_at: Instant
    phone: Phone | None = None
    answer_for: Name | None = None


class AnswerWanted(_AboutContact, type="chairtime.answer.wanted"):
    """A person wrote something that is answered at once, in the name of a location."""

    kind: Literal[TextKind.HELP, TextKind.UNMONITORED_REPLY]
    location: Name
    phone: Phone | None = None
