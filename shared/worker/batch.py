"""A batch on its way along the road: one message after the other, decided in order.

Nothing here reaches a database or a broker.
"""

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.contract.topics import ANSWERED_BY
from shared.decision import trace
from shared.decision.decision import Attention, Context, Decision, State, Timer
from shared.decision.message import Message, Outgoing, Record, event_id, publication
from shared.kafka.cloud_events import Unreadable
from shared.kafka.envelope import NotForUs, NotHeard, read
from shared.tables import dead_letters
from shared.tables.dead_letters import DeadLetter
from shared.worker.service_rules import HTTP, Answer, Loaded, Rules

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """One batch on its way: what came in, and what the fold has brought so far."""

    messages: list[Message]
    letters: list[DeadLetter] = field(default_factory=list)
    heard: dict[tuple[str, int], int] = field(default_factory=dict)
    notes: dict[str, list[BaseModel]] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    timers: list[tuple[str, Timer, str, str]] = field(default_factory=list)  # with trace and id of what sets it
    attention: list[tuple[str, Attention]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    due_at: datetime | None = None  # when the service's own loops must look

    @property
    def next_timer(self) -> datetime | None:
        """The earliest deadline that the batch has set."""
        return min((timer.due_at for _, timer, *_ in self.timers if timer.due_at is not None), default=None)

    def read(self, rules: Rules[Any, Any], record: Record, arrived_at: datetime) -> str | None:
        """Take a record in: as a message, a note or a dead letter; or tell why it is passed over."""
        partition = (record.topic, record.partition)
        self.heard[partition] = max(record.offset + 1, self.heard.get(partition, 0))
        try:
            self.messages.append(read(record, arrived_at, rules.hears[record.topic]))
        except NotHeard as other:
            return self._note(rules, str(other), record)
        except NotForUs:
            return "unknown_type"
        except Unreadable as error:
            if ANSWERED_BY.get(record.topic, rules.service) != rules.service:
                return "unreadable_elsewhere"
            self.letters.append(
                DeadLetter(record.offset_id, "unreadable", None, error.code, str(error), record, arrived_at)
            )
        return None

    def _note(self, rules: Rules[Any, Any], type_name: str, record: Record) -> str | None:
        note = rules.notes.get(type_name)
        if note is None:
            return "not_ours"
        try:
            self.notes.setdefault(type_name, []).append(note.reads.model_validate_json(record.value or b""))
        except ValidationError:
            return "unreadable_note"
        return None

    def announce(self, service: str, *letters: DeadLetter) -> None:
        """Tell the dead-letter topic."""
        self.outgoing += [dead_letters.outgoing(service, letter) for letter in letters]

    def decide(
        self,
        rules: Rules[State, Context],
        messages: Sequence[Message],
        loaded: Loaded[State, Context],
        held: Set[str],
        defect: Exception | None = None,
        keep_defects: bool = True,
    ) -> tuple[dict[str, State], Context]:
        """Fold messages, in order; what follows from them is added to the batch.

        Args:
            held: aggregates that wait for an operator; a defect adds its own.
            defect: what the rule shall be taken to have raised.
            keep_defects: make dead letters of what rules raise, or raise it.

        Returns:
            The states that have changed, and the value that decisions share as it is now.
        """
        held, states = set(held), dict(loaded.states)
        context = loaded.context
        changed: dict[str, State] = {}
        for message in messages:
            aggregate = rules.aggregate_of(message)
            if aggregate in held:
                self.letters.append(_letter(message, "held_back", aggregate, "held_back", "waits behind a defect"))
                continue
            state = states.get(aggregate)
            try:
                if defect is not None:
                    raise defect
                decision = rules.decide(state, message, message.arrived_at, context)
            except Exception as error:
                log.exception("a rule failed on %s", message.type, extra=about(rules.service, aggregate, message))
                if not keep_defects:
                    raise
                letter = _letter(message, "defect", aggregate, type(error).__name__, "a rule failed; see the log")
                self.letters.append(letter)
                self.announce(rules.service, letter)
                held.add(aggregate)
                continue
            if decision.state is not state:
                states[aggregate] = changed[aggregate] = decision.state
            if decision.context is not None:
                context = decision.context
            self._collect(rules.service, aggregate, message, decision)
        return changed, context

    def _collect(self, service: str, aggregate: str, cause: Message, decision: Decision[State, Context]) -> None:
        for number, event in enumerate(decision.events):
            self.outgoing.append(publication(service, event, cause, event_id(service, cause.id, number)))
        if decision.timers:
            self.timers += [(timer.of or aggregate, timer, cause.trace, cause.id) for timer in decision.timers]
        self.attention += [(aggregate, item) for item in decision.attention]
        if cause.source == HTTP:
            self.answers[cause.id] = [
                {"type": event.type, "data": event.model_dump(mode="json", exclude_none=True)}
                for event in decision.events
            ]


def about(service: str, aggregate: str, message: Message) -> dict[str, str]:
    """What a line of the log tells of a message."""
    return {"service": service, "course": aggregate, "event_id": message.id, "trace_id": trace.id_of(message.trace)}


def _letter(message: Message, kind: dead_letters.Kind, aggregate: str, error_type: str, error: str) -> DeadLetter:
    return DeadLetter(
        message.id, kind, aggregate, error_type, error, dead_letters.record_of(message), message.arrived_at
    )
