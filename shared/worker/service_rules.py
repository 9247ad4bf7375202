"""What a service brings to the road: `Rules`, its pure decisions and its SQL. The road itself stands in `worker`."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic

from pydantic import BaseModel

from shared.contract.register import EVENTS, EventData
from shared.decision.decision import Context, Decision, State
from shared.decision.message import Message
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

HTTP: Final = "http"
"""The source of a message that came as a request."""

Answer = list[dict[str, Any]]
"""The decision's events as an HTTP caller gets to see them: each {"type", "data"}."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[State, Context]):
    """What a batch names: the states that exist by aggregate, locked, and one value that its decisions share."""

    states: Mapping[str, State]
    context: Context


@dataclass(frozen=True, slots=True)
class Note:
    """What is only written down of an event: no state is loaded and no id remembered, so that the same again must write
    the same again.

    Attributes:
        reads: the fields that matter.
        write: (writes, what was read, in order).
    """

    reads: type[BaseModel]
    write: Callable[[Writes, Sequence[Any]], None]


@dataclass(frozen=True, slots=True)
class Recall:
    """How a service whose database was set back takes up again what only its own topic tells.

    Attributes:
        takes: whether an event of its own brings its rules something that they cannot decide again.
        begin: (connection) before the gap is heard again.
        end: (connection, until) afterwards; returns how many things it had to settle that nobody can know, because
            the lost database was at work until then.
    """

    takes: Callable[[EventData], bool]
    begin: Callable[[Connection], Awaitable[None]]
    end: Callable[[Connection, datetime], Awaitable[int]]


@dataclass(frozen=True)
class Rules(Generic[State, Context]):
    """What a service brings to the road.

    Attributes:
        hears: the event types that it acts upon, by topic; others on these topics are passed over.
        aggregate_of: what a message is about; messages of one aggregate are decided in order.
        decide: (state or None, message, now, context) -> Decision. Pure: no I/O, no clock, no random ids.
            `now` is our clock when the message reached us.
        load: reads and locks what a batch is about.
        save: (writes, loaded, changed, context) adds what is to be written of the states that changed, by aggregate;
            what a changed state shares with the loaded one is written down already.
        due: (changed, context) -> the earliest instant at which the service's own loops must look at what has changed;
            where it is left out, nothing is due.
        rest: seconds between two small batches, at least: where nobody waits for an effect, more share a transaction.
        notes: what is written down of events that no rule decides about, by type.
        recall: what else there is to do when the database was set back.
    """

    service: str
    hears: Mapping[str, frozenset[str]]
    aggregate_of: Callable[[Message], str]
    decide: Callable[[State | None, Message, datetime, Context], Decision[State, Context]]
    load: Callable[[Connection, Sequence[Message]], Awaitable[Loaded[State, Context]]]
    save: Callable[[Writes, Mapping[str, State], Mapping[str, State], Context], None]
    due: Callable[[Collection[State], Context], datetime | None] = lambda *_: None
    rest: float = 0
    notes: Mapping[str, Note] = field(default_factory=dict)
    recall: Recall | None = None

    @property
    def listens(self) -> dict[str, frozenset[str]]:
        """The event types that are not passed over, by topic: those that are decided about and those that are noted."""
        return listens(self.hears, self.notes)


def listens(hears: Mapping[str, frozenset[str]], notes: Iterable[str]) -> dict[str, frozenset[str]]:
    """What a service listens to, by topic: what it acts upon and what it notes."""
    noted = [EVENTS[name] for name in notes]
    return {topic: types | {e.type for e in noted if e.topic == topic} for topic, types in hears.items()}
