"""Booking's tables: load many courses locked, save many."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.location import ChairPlans
from services.booking.rules.closures import Closure, ClosureRequested
from services.booking.rules.course import OCCUPYING, Course, CourseState, Session
from services.booking.rules.days_needed import sought
from services.booking.store.calendar import lock_and_read
from services.booking.store.closures import CLOSURE, closure_row, load_closures
from shared.contract.clinic import CourseChangeRequested, CourseRequested
from shared.decision.message import Message, from_stored, to_stored
from shared.postgres.query import nested, rows, take
from shared.postgres.row_values import reader
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.worker.service_rules import Loaded

STANDING: Final = ("course_id", "state", "hold_expires_at", "hold_open", "waiting")
COURSE: Final = (*STANDING, "request", "original", "patient_id", "location")

KEY: Final = ("course_id", "session_id")
PLACE: Final = ("starts_at", "ends_at", "time_zone", "chair", "provider", "provider_from", "provider_until")
"""Where and when a session is: most changes leave it as it was."""

GOING: Final = ("version", '"grant"', "here_at")
OWN: Final = ("session_id", "number", "state", *PLACE, *GOING)
"""The columns of a session that are fields of `Session`, in their order."""

SESSION: Final = ("course_id", "location", "patient_id", *OWN)

_read_session: Final = reader(Session)


async def load(
    places: ChairPlans, connection: Connection, messages: Sequence[Message]
) -> Loaded[Course | Closure, Calendar]:
    """What a batch is about, locked, and the calendar as far as it needs one, locked by location."""
    closures = {m.data.closure_id for m in messages if isinstance(m.data, ClosureRequested)}
    ids = {UUID(m.data.key) for m in messages if not isinstance(m.data, ClosureRequested)}
    courses: dict[str, Course] = {}
    if ids:
        await take(
            connection, "courses", "course_id", ids, "uuid", state="'awaited'", hold_open="false", waiting="'[]'"
        )
        courses = await load_courses(connection, ids)
    seen = sought(places, courses, messages)
    calendar = await lock_and_read(connection, seen, _named(messages)) if seen else Calendar()
    states: dict[str, Course | Closure] = {**courses}
    if closures:  # after their location is locked
        states |= await load_closures(connection, closures)
    return Loaded(states, calendar)


def _named(messages: Sequence[Message]) -> list[UUID]:
    """The ids of sessions that are asked for."""
    named: list[UUID] = []
    for message in messages:
        if isinstance(message.data, CourseRequested):
            named += [wish.session_id for wish in message.data.sessions or ()]
        elif isinstance(message.data, CourseChangeRequested):
            named += [wish.session_id for wish in message.data.add_sessions or ()]
    return named


async def load_courses(connection: Connection, ids: set[UUID]) -> dict[str, Course]:
    """Courses with their sessions, by their id as text."""
    return {
        str(row.course_id): Course(
            course_id=row.course_id,
            state=CourseState(row.state),
            request=CourseRequested.model_validate_json(row.request) if row.request else None,
            original=CourseRequested.model_validate_json(row.original) if row.original else None,
            hold_expires_at=row.hold_expires_at,
            hold_open=row.hold_open,
            sessions=tuple(map(_read_session, row.sessions)),
            waiting=tuple(from_stored(stored) for stored in row.waiting),
        )
        for row in await rows(
            connection,
            f"""SELECT course_id, state, CAST(request AS text), CAST(original AS text), hold_expires_at, hold_open,
                       waiting, {nested("sessions s", OWN, "s.course_id = courses.course_id", "number")} AS sessions
                FROM courses WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
            ids=sorted(ids),
        )
    }


def save(
    writes: Writes, loaded: Mapping[str, Course | Closure], changed: Mapping[str, Course | Closure], calendar: Calendar
) -> None:
    """Write what differs from what was loaded; what frees a place goes before what takes one."""
    requested, courses, closures = [], [], []
    fresh: list[dict[str, Any]] = []
    ended, going = _Changes(), _Changes()
    for id, course in changed.items():
        if isinstance(course, Closure):
            closures.append(closure_row(course))
            continue
        before = loaded[id]
        assert isinstance(before, Course)
        if course.request is not before.request:
            requested.append(_course_row(course))
        elif _standing(course) != _standing(before):
            courses.append(_standing(course))
        known = {session.session_id: session for session in before.sessions}
        for session in course.sessions:
            was = known.get(session.session_id)
            if was is None:
                fresh.append(_session_row(course, session))
            elif session is not was:
                (going if session.state in OCCUPYING else ended).add(course, was, session)
    writes.update("courses", COURSE, requested, key=["course_id"])
    writes.update("courses", STANDING, courses, key=["course_id"])
    ended.save(writes)
    if ended and going:
        writes.then()
    going.save(writes)
    if fresh and (ended or going):
        writes.then()
    writes.append("sessions", SESSION, fresh)
    writes.insert("closures", CLOSURE, closures)


class _Changes:
    """Sessions that have changed; those that are where they were have few columns to write."""

    def __init__(self) -> None:
        self._standing: list[dict[str, Any]] = []
        self._moved: list[dict[str, Any]] = []

    def __bool__(self) -> bool:
        return bool(self._standing or self._moved)

    def add(self, course: Course, was: Session, session: Session) -> None:
        if (was.starts_at, was.chair, was.provider) == (session.starts_at, session.chair, session.provider):
            self._standing.append(
                {
                    "course_id": course.course_id,
                    "session_id": session.session_id,
                    "state": session.state,
                    "version": session.version,
                    "grant": session.grant,
                    "here_at": session.here_at,
                }
            )
        else:
            self._moved.append(_session_row(course, session))

    def save(self, writes: Writes) -> None:
        writes.update("sessions", (*KEY, "state", *GOING), self._standing, key=KEY)
        writes.update("sessions", (*KEY, "state", *PLACE, *GOING), self._moved, key=KEY)


def _standing(course: Course) -> dict[str, Any]:
    return {
        "course_id": course.course_id,
        "state": course.state,
        "hold_expires_at": course.hold_expires_at,
        "hold_open": course.hold_open,
        "waiting": [to_stored(message) for message in course.waiting],
    }


def _course_row(course: Course) -> dict[str, Any]:
    request = course.request
    return _standing(course) | {
        "request": request.model_dump(mode="json") if request else None,
        "original": course.original.model_dump(mode="json") if course.original else None,
        "patient_id": request.patient_id if request else None,
        "location": request.location if request else None,
    }


def _session_row(course: Course, session: Session) -> dict[str, Any]:
    assert course.request is not None
    return session._asdict() | {
        "course_id": course.course_id,
        "location": course.request.location,
        "patient_id": course.request.patient_id,
    }
