"""What must be true of visits: I3 versions and states, I4 no double booking, I7 the gate."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from deploy.preparing.heard import HEARS
from services.booking.rules.course import OCCUPYING, TRANSITIONS
from shared.contract.billing import PrepaymentSatisfied
from shared.contract.booking import (
    CourseAccepted,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionUnconfirmed,
)
from shared.contract.closed_sets import SessionState
from tests.failures.evidence import Evidence

S = SessionState

LEADS_TO: dict[type[SessionEvent], frozenset[SessionState]] = {
    SessionConfirmed: frozenset({S.CONFIRMED, S.CHECKED_IN, S.COMPLETED}),
    SessionUnconfirmed: frozenset({S.HELD}),
    SessionCancelled: frozenset({S.CANCELLED}),
    SessionReleased: frozenset({S.RELEASED, S.CANCELLED, S.MISSED}),
    SessionCheckedIn: frozenset({S.CHECKED_IN}),
    SessionCompleted: frozenset({S.COMPLETED}),
    SessionMissed: frozenset({S.MISSED}),
}
"""The states in which an event can leave a session; a late grant of one that is over is answered by `released`."""

COLUMNS = ("version", "state", "starts_at", "ends_at", "chair", "provider")


@dataclass(frozen=True, slots=True)
class Told:
    """A session as one event of booking tells it."""

    type: str
    event: Any
    session: Any
    course_id: UUID
    location: str
    patient_id: str


def told(evidence: Evidence) -> list[Told]:
    """Every session as every event of booking tells it, in the order of booking's outbox."""
    found: list[Told] = []
    for one in evidence.told("booking"):
        data = one.data
        if isinstance(data, CourseAccepted):
            found += [Told(data.type, data, s, data.course_id, data.location, data.patient_id) for s in data.sessions]
        elif isinstance(data, SessionEvent):
            found.append(Told(data.type, data, data, data.course_id, data.location, data.patient_id))
    return found


def versions(evidence: Evidence) -> Iterator[str]:
    """I3: from the events in their order, to what the three services believe at the end."""
    last: dict[UUID, Any] = {}
    for one in told(evidence):
        now, before = one.session, last.get(one.session.session_id)
        named = f"I3 session {now.session_id} version {now.version} ({one.type})"
        if before is None:
            if now.version != 1 or now.state != S.HELD:
                yield f"{named}: its course was never accepted"
        elif not isinstance(one.event, CourseAccepted):
            if now.version != before.version + 1:
                yield f"{named}: follows version {before.version}"
            if now.state != before.state and now.state not in TRANSITIONS[before.state]:
                yield f"{named}: went from {before.state} to {now.state}"
            if now.state not in LEADS_TO.get(type(one.event), {now.state}):
                yield f"{named}: is {now.state} afterwards"
        last[now.session_id] = now
    for row in evidence.rows("booking", "sessions"):
        now = last.get(row["session_id"])
        wanted = now and tuple(getattr(now, name) for name in COLUMNS)
        if wanted != tuple(row[name] for name in COLUMNS):
            yield f"I3 session {row['session_id']}: booking's row is not what its last event told"
    yield from _beliefs(evidence)


def _beliefs(evidence: Evidence) -> Iterator[str]:
    """At the end the others believe what booking told last, as far as they listen."""
    last: dict[tuple[str, UUID], tuple[int, str]] = {}
    for one in told(evidence):
        for service in ("billing", "reminders"):
            if one.type in HEARS[service]["booking.events"]:
                last[service, one.session.session_id] = one.session.version, one.session.state
    for service, table in (("billing", "shares"), ("reminders", "sessions")):
        for row in evidence.rows(service, table):
            believed = row["version"], row["state"]
            wanted = last.get((service, row["session_id"]), believed)
            if believed != wanted and str(row["course_id"]) not in evidence.held_back:
                yield f"I3 session {row['session_id']}: {service} believes {believed}, booking told {wanted}"


def overlaps(evidence: Evidence) -> Iterator[str]:
    """I4: never in the course of time, and not in what booking's table has now."""
    occupied: dict[UUID, tuple[tuple[str, ...], datetime, datetime]] = {}
    by_resource: dict[str, set[UUID]] = defaultdict(set)
    for one in told(evidence):
        s = one.session
        for resource in occupied.pop(s.session_id, ((),))[0]:
            by_resource[resource].discard(s.session_id)
        if s.state in OCCUPYING:
            resources = (
                f"{one.location}/chair/{s.chair}",
                f"{one.location}/provider/{s.provider}",
                f"patient/{one.patient_id}",
            )
            for resource in resources:
                for other in by_resource[resource]:
                    if occupied[other][1] < s.ends_at and s.starts_at < occupied[other][2]:
                        yield f"I4 {resource}: sessions {other} and {s.session_id} overlapped at {s.starts_at}"
                by_resource[resource].add(s.session_id)
            occupied[s.session_id] = resources, s.starts_at, s.ends_at
    rows = [row for row in evidence.rows("booking", "sessions") if row["state"] in OCCUPYING]
    for what in ("chair", "provider", "patient_id"):
        yield from _overlapping_rows(rows, what)


def _overlapping_rows(rows: Iterable[Any], what: str) -> Iterator[str]:
    of_resource: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        of_resource["" if what == "patient_id" else row["location"], row[what]].append(row)
    for (location, name), taken in of_resource.items():
        for one, other in pairwise(sorted(taken, key=lambda row: row["starts_at"])):
            if other["starts_at"] < one["ends_at"]:
                place = f"{what} {location}/{name}"
                yield f"I4 {place}: sessions {one['session_id']} and {other['session_id']} overlap"


def gate(evidence: Evidence) -> Iterator[str]:
    """I7, booking's part: nothing is confirmed without a grant, and each grant is answered exactly once."""
    granted: dict[UUID, list[int]] = defaultdict(list)
    for fact in evidence.events(PrepaymentSatisfied):
        granted[fact.session_id].append(fact.grant)
    for id, grants in granted.items():
        if grants != list(range(1, len(grants) + 1)):
            yield f"I7 session {id}: billing's grants are {grants}"
    confirmed: set[UUID] = set()
    for one in told(evidence):
        id, event = one.session.session_id, one.event
        if isinstance(event, SessionConfirmed | SessionReleased) and event.grant and event.grant not in granted[id]:
            yield f"I7 session {id}: {one.type} for grant {event.grant}, which billing never gave"
        if isinstance(event, SessionConfirmed):
            confirmed.add(id)
        if one.session.state not in (S.CONFIRMED, S.CHECKED_IN):
            confirmed.discard(id)
        elif id not in confirmed:
            yield f"I7 session {id}: {one.session.state} at version {one.session.version} without a grant"
    for row in evidence.rows("booking", "sessions"):
        if row["state"] in (S.CONFIRMED, S.CHECKED_IN) and row["grant"] not in granted[row["session_id"]]:
            yield f"I7 session {row['session_id']}: is {row['state']} by grant {row['grant']}, which billing never gave"
    if "booking" in evidence.tables:
        yield from _answered(evidence, granted)


def _answered(evidence: Evidence, granted: Mapping[UUID, Sequence[int]]) -> Iterator[str]:
    answers: dict[tuple[UUID, int], list[str]] = defaultdict(list)
    taken_back: set[tuple[UUID, int]] = set()
    for one in told(evidence):
        match one.event:
            case SessionConfirmed(session_id=id, grant=grant) | SessionReleased(session_id=id, grant=grant):
                if (id, grant) not in taken_back:  # what is released after that still names the last grant
                    answers[id, grant].append(one.type)
            case SessionUnconfirmed(session_id=id, grant=grant):
                taken_back.add((id, grant))
    courses = {row["session_id"]: str(row["course_id"]) for row in evidence.rows("booking", "sessions")}
    for id, grants in granted.items():
        for grant in grants:
            times = len(answers[id, grant])
            if times != 1 and courses.get(id) not in evidence.held_back:
                yield f"I7 session {id}: grant {grant} has {times} answers ({', '.join(answers[id, grant])})"
