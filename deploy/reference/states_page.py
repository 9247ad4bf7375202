"""The page of the states of a session (docs/states.md), generated from the table in `services.booking.rules.course`."""

from collections.abc import Iterator

from services.booking.rules.course import OCCUPYING, TRANSITIONS
from shared.contract.booking import SessionEvent
from shared.contract.closed_sets import SessionState

HEAD = """\
# The states of a session

Generated from `TRANSITIONS` in `services/booking/rules/course.py` by `chairtime export-schemas docs`; do not edit. A
session goes along these ways and no other: a rule that tried another would be a defect, and its message a dead letter.
"""

MEANINGS = {
    SessionState.HELD: "Has its place until it is paid for, or until the hold or the payment's deadline ends.",
    SessionState.CONFIRMED: "Is satisfied: paid, covered, free or waived.",
    SessionState.CHECKED_IN: "The patient passed the gate.",
    SessionState.COMPLETED: "The treatment was given: a fact, wherever it comes from.",
    SessionState.MISSED: "Nobody came. It may be moved to later, and then begins anew.",
    SessionState.CANCELLED: "Will not be, by somebody's wish.",
    SessionState.RELEASED: "Lost its place unpaid. Late money takes the place again if it is free; or it is moved.",
}


def page() -> str:
    """The whole page."""
    return "\n".join((HEAD, *_picture(), "", *_states(), "", *_ways(), ""))


def _picture() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> held: course accepted"
    for state, ways in TRANSITIONS.items():
        for to, event in ways.items():
            yield f"    {state} --> {to}: {_name(event)}"
        if not ways:
            yield f"    {state} --> [*]"
    yield "```"


def _states() -> Iterator[str]:
    yield "| state | meaning | has its chair and provider |"
    yield "|---|---|---|"
    for state in SessionState:
        yield f"| `{state}` | {MEANINGS[state]} | {'yes' if state in OCCUPYING else 'no'} |"


def _ways() -> Iterator[str]:
    yield "| from | to | told as |"
    yield "|---|---|---|"
    for state, ways in TRANSITIONS.items():
        for to, event in ways.items():
            yield f"| `{state}` | `{to}` | [`{event.type}`](schemas/{event.type}.json) |"


def _name(event: type[SessionEvent]) -> str:
    return event.type.removeprefix("booking.session.").removesuffix(".v1").replace("_", " ")
