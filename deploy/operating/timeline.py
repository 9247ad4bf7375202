"""A course's whole story: what the three services tell of it, in one order of time. Pure; ids and states alone."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

Story = Mapping[str, Any]
"""What a service answers on `/ops/courses/{id}/story`."""

LATER: Final = datetime.max.replace(tzinfo=UTC)
"""When what is not published yet may be: of one instant, effects are published after their causes."""

SHOWN: Final = ("kind", "basis", "needs", "grant", "reason", "code", "by", "intent", "payment_id", "refund_id")
"""Fields that are told after what happened, by their names."""

INSTANTS: Final = ("starts_at", "previous_starts_at", "due_at", "hold_expires_at")


class Moment(NamedTuple):
    """One line of the timeline.

    Attributes:
        at: when the service decided it, by its clock; when it is due, of what is still to come.
        who: the service.
        what: such as `session confirmed`.
        session: the session's number in its course, where it is about one.
        told: ids, states and reasons by name.
        id: of the event, letter or matter; of a text that is planned, the text's.
    """

    at: str
    who: str
    what: str
    session: int | None
    told: dict[str, Any]
    id: str


def timeline(stories: Mapping[str, Story], planned: Iterable[Mapping[str, Any]] = ()) -> list[Moment]:
    """Everything that happened, in order, then the texts that are still to come.

    Args:
        stories: by service; one that knows nothing of the course is left out.
        planned: texts as reminders shows them.
    """
    numbers = _numbers(stories)
    found: list[tuple[datetime, Moment]] = []
    for who, story in stories.items():
        for event in story["events"]:
            data = dict(event["data"])
            session = numbers.get(data.get("session_id", ""))
            told = {name: data[name] for name in (*SHOWN, *INSTANTS) if data.get(name) is not None}
            moment = Moment(event["at"], who, _what(event["type"]), session, told, event["id"])
            found.append((datetime.fromisoformat(event["published_at"]) if event["published_at"] else LATER, moment))
        for letter in story["dead_letters"]:
            told = {"kind": letter["kind"], "error_type": letter["error_type"], "topic": letter["topic"]}
            found.append((LATER, Moment(letter["at"], who, "dead letter open", None, told, f"{who}/{letter['id']}")))
        for matter in story["attention"]:
            session = numbers.get(matter["subject"])
            told = {"kind": matter["kind"]} | ({} if session else {"subject": matter["subject"]})
            for at, what in ((matter["raised_at"], "attention raised"), (matter["resolved_at"], "attention resolved")):
                if at is not None:
                    found.append((LATER, Moment(at, who, what, session, told, f"{who}/{matter['id']}")))
    happened = sorted(found, key=lambda one: (datetime.fromisoformat(one[1].at), one[0]))
    to_come = sorted(_to_come(planned, numbers), key=lambda moment: datetime.fromisoformat(moment.at))
    return [moment for _, moment in happened] + to_come


def states(stories: Mapping[str, Story]) -> dict[str, Any]:
    """How the course stands as booking told it last: `course`, and each session by its number."""
    course, sessions = "unknown", dict[int, str]()
    for event in stories.get("booking", {"events": ()})["events"]:
        what, data = _what(event["type"]), event["data"]
        if what.startswith("course ") and what != "course changed":
            course = what.removeprefix("course ")
        for session in (*data.get("sessions", ()), data):
            if "number" in session and "state" in session:
                sessions[session["number"]] = session["state"]
    return {"course": course, "sessions": {number: sessions[number] for number in sorted(sessions)}}


def _to_come(planned: Iterable[Mapping[str, Any]], numbers: Mapping[str, int]) -> list[Moment]:
    return [
        Moment(
            text["due_at"], "reminders", "text planned", numbers.get(text["session_id"] or ""), told, text["text_id"]
        )
        for text in planned
        if text["state"] == "scheduled"
        for told in ({"kind": text["kind"]},)
    ]


def _numbers(stories: Mapping[str, Story]) -> dict[str, int]:
    """Each session's number; booking alone tells it."""
    return {
        part["session_id"]: part["number"]
        for story in stories.values()
        for event in story["events"]
        for part in (*event["data"].get("sessions", ()), event["data"])
        if "number" in part
    }


def _what(type_name: str) -> str:
    """`booking.session.confirmed.v1` -> `session confirmed`."""
    return " ".join(type_name.split(".")[1:-1]).replace("_", " ")
