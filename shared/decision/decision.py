"""What a rule answers with. Pure: rules import this, and nothing that reaches a network or a disk."""

from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from shared.contract.register import EventData

State = TypeVar("State")
Context = TypeVar("Context")


class Timer(NamedTuple):
    """A deadline of one aggregate. Setting it again replaces it; `due_at=None` takes it back.

    When due it comes back to the same rules as a `TimerDue`. `subject` is a session id or empty. `of`: another
    aggregate than the message's, which so is sent a message of its own.
    """

    kind: str
    due_at: datetime | None
    subject: str = ""
    of: str = ""


class Attention(NamedTuple):
    """Something for a person. `kind` is a stable code, `subject` an id, `detail` a line without personal data."""

    kind: str
    subject: str
    detail: str


class Decision(NamedTuple, Generic[State, Context]):
    """What follows from one message: the new state, and what to tell, wait for and show to a person.

    `context` is the batch's shared value afterwards, or None where it stays as it was.
    """

    state: State
    events: tuple[EventData, ...] = ()
    timers: tuple[Timer, ...] = ()
    attention: tuple[Attention, ...] = ()
    context: Context | None = None
