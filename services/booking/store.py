"""Booking's tables: load many courses locked, save many. The only SQL of the service."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.booking.course import OCCUPYING, Course, CourseState, Session
from services.booking.planning import Calendar, Taken
from services.booking.rules import needs_calendar
from shared.batch import Loaded
from shared.contract import CourseRequested, SessionRescheduleRequested, SessionState
from shared.database import Writes, nested, rows, take
from shared.envelope import Message, from_stored, to_stored

STANDING = ("course_id", "state", "hold_expires_at", "hold_open", "waiting")
COURSE = (*STANDING, "request", "patient_id", "location")
OWN = ("session_id", "number", "state", "starts_at", "ends_at", "chair", "provider", "version", '"grant"', "here_at")
"""The columns of a session that are fields of `Session`, in their order."""

SESSION = ("course_id", "location", "patient_id", *OWN)

TAKEN = "session_id, location, chair, provider, patient_id, starts_at, ends_at"


async def load(connection: AsyncConnection, messages: Sequence[Message]) -> Loaded[Course, Calendar]:
    """The courses that a batch is about, locked, and the calendar as far as it needs one, locked by location."""
    ids = {UUID(message.data.key) for message in messages}
    await take(connection, "courses", "course_id", ids, "uuid", state="'awaited'", hold_open="false", waiting="'[]'")
    courses = await load_courses(connection, ids)
    seeking = [message for message in messages if needs_calendar(courses.get(message.data.key), message)]
    return Loaded(courses, await _calendar(connection, courses, seeking) if seeking else Calendar())


async def load_courses(connection: AsyncConnection, ids: set[UUID]) -> dict[str, Course]:
    """Courses with their sessions, by their id as text."""
    return {
        str(row.course_id): Course(
            course_id=row.course_id,
            state=CourseState(row.state),
            request=CourseRequested.model_validate_json(row.request) if row.request else None,
            hold_expires_at=row.hold_expires_at,
            hold_open=row.hold_open,
            sessions=tuple(Session(id, n, SessionState(state), *more) for id, n, state, *more in row.sessions),
            waiting=tuple(from_stored(stored) for stored in row.waiting),
        )
        for row in await rows(
            connection,
            f"""SELECT course_id, state, CAST(request AS text), hold_expires_at, hold_open, waiting,
                       {nested("sessions s", OWN, "s.course_id = courses.course_id", "number")} AS sessions
                FROM courses WHERE course_id = ANY(CAST(:ids AS uuid[]))""",
            ids=sorted(ids),
        )
    }


async def _calendar(connection: AsyncConnection, courses: Mapping[str, Course], seeking: Sequence[Message]) -> Calendar:
    """What is taken where the batch looks for places. One batch at a time looks at a location."""
    requests = [message.data for message in seeking if isinstance(message.data, CourseRequested)]
    known = [courses[message.data.key] for message in seeking if message.data.key in courses]
    requests += [course.request for course in known if course.request is not None]
    wished = {(r.location, session.starts_at) for r in requests for session in r.sessions or ()}
    wishes = [*seeking, *(waiting for course in known for waiting in course.waiting)]
    moves = [m.data.starts_at for m in wishes if isinstance(m.data, SessionRescheduleRequested)]
    moves += [session.starts_at for course in known for session in course.sessions]
    locations = sorted({request.location for request in requests})
    wished |= {(location, starts_at) for location in locations for starts_at in moves}
    if not wished:
        return Calendar()
    await rows(
        connection,
        "SELECT pg_advisory_xact_lock(hashtextextended(l, 0)) FROM unnest(CAST(:locations AS text[])) AS l",
        locations=locations,
    )
    ids = [session.session_id for request in requests for session in request.sessions or ()]
    named = await rows(
        connection, "SELECT session_id FROM sessions WHERE session_id = ANY(CAST(:ids AS uuid[]))", ids=ids
    )
    starts: dict[tuple[str, date], list[datetime]] = defaultdict(list)
    for location, starts_at in wished:
        starts[location, starts_at.date()].append(starts_at)
    taken = [
        Taken(*row)
        for row in await rows(  # no session is longer than a day
            connection,
            f"""SELECT {TAKEN} FROM sessions
                JOIN unnest(CAST(:locations AS text[]), CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]))
                     AS w (place, first, last) ON location = place
                WHERE starts_at > first - interval '1 day' AND starts_at < last + interval '1 day' AND ends_at > first
                AND occupies
                UNION
                SELECT {TAKEN} FROM sessions JOIN unnest(CAST(:patients AS text[])) AS person
                     ON patient_taken && taken(person, :first, :last)
                WHERE occupies""",
            locations=[location for location, _ in starts],
            firsts=[min(instants) for instants in starts.values()],
            lasts=[max(instants) for instants in starts.values()],
            patients=sorted({request.patient_id for request in requests}),
            first=min(starts_at for _, starts_at in wished),
            last=max(starts_at for _, starts_at in wished) + timedelta(days=1),
        )
    ]
    return Calendar.of(taken, (row.session_id for row in named))


def save(writes: Writes, loaded: Mapping[str, Course], changed: Mapping[str, Course], calendar: Calendar) -> None:
    """Write what differs from what was loaded; what frees a place goes before what takes one."""
    requested, courses = [], []
    fresh: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    going: list[dict[str, Any]] = []
    for id, course in changed.items():
        before = loaded[id]
        if course.request is not before.request:
            requested.append(_course_row(course))
        elif _standing(course) != _standing(before):
            courses.append(_standing(course))
        known = {session.session_id: session for session in before.sessions}
        for session in course.sessions:
            was = known.get(session.session_id)
            if session is not was:
                kind = fresh if was is None else going if session.state in OCCUPYING else ended
                kind.append(_session_row(course, session))
    writes.update("courses", COURSE, requested, key=["course_id"])
    writes.update("courses", STANDING, courses, key=["course_id"])
    for one_kind in (ended, going):
        if one_kind:
            writes.update("sessions", SESSION, one_kind, key=["course_id", "session_id"])
            if fresh or (going and one_kind is ended):
                writes.then()
    writes.insert("sessions", SESSION, fresh)


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
        "patient_id": request.patient_id if request else None,
        "location": request.location if request else None,
    }


def _session_row(course: Course, session: Session) -> dict[str, Any]:
    assert course.request is not None
    return {
        "course_id": course.course_id,
        "session_id": session.session_id,
        "number": session.number,
        "state": session.state,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "location": course.request.location,
        "chair": session.chair,
        "provider": session.provider,
        "patient_id": course.request.patient_id,
        "version": session.version,
        "grant": session.grant,
        "here_at": session.here_at,
    }


async def sessions_of_day(
    connection: AsyncConnection, location: str, first: datetime, last: datetime
) -> list[dict[str, Any]]:
    """The sessions that start at a location from `first` until before `last`, in order of time."""
    found = await rows(
        connection,
        """SELECT session_id, course_id, number, state, starts_at, ends_at, chair, provider, version
           FROM sessions WHERE location = :location AND starts_at >= :first AND starts_at < :last
           ORDER BY starts_at, chair""",
        location=location,
        first=first,
        last=last,
    )
    return [dict(row._mapping) for row in found]


async def course_of(connection: AsyncConnection, session_id: UUID) -> UUID | None:
    """The course that a session belongs to."""
    found = await rows(connection, "SELECT course_id FROM sessions WHERE session_id = :id", id=session_id)
    return found[0].course_id if found else None
