"""What a service tells itself: these messages stand on no topic."""

from shared.contract.fields import Id, Instant
from shared.contract.register import EventData


class PersonErased(EventData, type="chairtime.person.erased"):
    """A null value came for this person on a compacted topic: forget them."""

    person_id: Id

    @property
    def key(self) -> str:
        return self.person_id


class TimerDue(EventData, type="chairtime.timer.due"):
    """A deadline that a rule had set has passed. `of` is the aggregate, `subject` a session id or empty."""

    of: str
    kind: str
    subject: str
    due_at: Instant

    @property
    def key(self) -> str:
        return self.of
