"""One decision in the making, as the rules of every service write it. Pure: it lives for one message."""

from datetime import datetime, timedelta
from typing import Final

from shared.contract.register import EventData
from shared.decision.decision import Attention, Context, Decision, State, Timer
from shared.decision.message import Message

UNKNOWN_COURSE: Final = "unknown_course"
"""The deadline, and the matter for a person, of what waits for a course that nobody has told of."""

UNKNOWN_AFTER: Final = timedelta(hours=24)
"""What waits this long for its course goes to a person (contract rule 7)."""


class Draft:
    """What follows from a message, gathered while its rules run. A service's own draft adds the state that it is about.

    Attributes:
        message: what is decided about.
        now: our clock when the message reached us.
        events: what is to be told, in order.
        timers: deadlines to set or to take back.
        attention: what is for a person.
    """

    def __init__(self, message: Message, now: datetime) -> None:
        self.message = message
        self.now = now
        self.events: list[EventData] = []
        self.timers: list[Timer] = []
        self.attention: list[Attention] = []

    def set_timer(self, kind: str, due_at: datetime | None, subject: object = "", of: str = "") -> None:
        """Set a deadline, move it, or take it back (None)."""
        self.timers.append(Timer(kind, due_at, str(subject), of))

    def raise_attention(self, kind: str, subject: object, detail: str) -> None:
        """Leave something to a person."""
        self.attention.append(Attention(kind, str(subject), detail))

    def wait(self, waiting: tuple[Message, ...]) -> tuple[Message, ...]:
        """Keep the message until its course is known: `waiting` with it behind. The first sets a person's deadline."""
        if not waiting:
            self.set_timer(UNKNOWN_COURSE, self.now + UNKNOWN_AFTER)
        return (*waiting, self.message._replace(record=None))

    def decided(self, state: State, context: Context | None = None) -> Decision[State, Context]:
        """What the worker writes down."""
        return Decision(state, tuple(self.events), tuple(self.timers), tuple(self.attention), context)
