"""Booking's tables: load many courses locked, save many. The only SQL of the service."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.booking.course import OCCUPYING, Course, CourseState, Session
from services.booking.planning import Calendar, Taken
from services.booking.rules import needs_calendar
from shared.contract import CourseRequested, SessionRescheduleRequested, SessionState
from shared.database import rows, to_json, write
from shared.envelope import Message, from_stored, to_stored
from shared.worker import Loaded

COURSE = (
    "course_id", "state", "request", "patient_id", "location", "hold_expires_at", "hold_open", "waiting",
)  # fmt: skip
SESSION = (
    "session_id", "course_id", "number", "state", "starts_at", "ends_at", "location", "chair", "provider",
    "patient_id", "version", '"grant"', "here_at",
)  # fmt: skip


async def load(connection: AsyncConnection, messages: Sequence[Message]) -> Loaded[Course, Calendar]:
    """The courses that a batch is about, locked, and the calendar as far as it needs one, locked by location."""
    courses = await load_courses(connection, {UUID(message.data.key) for message in messages}, lock=True)
    seeking = [message for message in messages if needs_calendar(courses.get(message.data.key), message)]
    return Loaded(courses, await _calendar(connection, courses, seeking) if seeking else Calendar())


async def load_courses(connection: AsyncConnection, ids: set[UUID], lock: bool = False) -> dict[str, Course]:
    """Courses with their sessions, by their id as text."""
    found = await rows(
        connection,
        """SELECT course_id, state, request, hold_expires_at, hold_open, waiting FROM courses
           WHERE course_id = ANY(CAST(:ids AS uuid[])) ORDER BY course_id """
        + ("FOR UPDATE" if lock else ""),
        ids=sorted(ids),
    )
    sessions: dict[UUID, list[Session]] = {}
    for row in await rows(
        connection,
        """SELECT course_id, session_id, number, state, starts_at, ends_at, chair, provider, version, "grant", here_at
           FROM sessions WHERE course_id = ANY(CAST(:ids AS uuid[])) ORDER BY course_id, number""",
        ids=[row.course_id for row in found],
    ):
        fields = dict(row._mapping)
        course_id = fields.pop("course_id")
        sessions.setdefault(course_id, []).append(Session(**fields | {"state": SessionState(row.state)}))
    return {
        str(row.course_id): Course(
            course_id=row.course_id,
            state=CourseState(row.state),
            request=CourseRequested.model_validate(row.request) if row.request else None,
            hold_expires_at=row.hold_expires_at,
            hold_open=row.hold_open,
            sessions=tuple(sessions.get(row.course_id, ())),
            waiting=tuple(from_stored(stored) for stored in row.waiting),
        )
        for row in found
    }


async def _calendar(connection: AsyncConnection, courses: Mapping[str, Course], seeking: Sequence[Message]) -> Calendar:
    """What is taken where the batch looks for places. One batch at a time looks at a location."""
    requests = [message.data for message in seeking if isinstance(message.data, CourseRequested)]
    known = [courses[message.data.key] for message in seeking if message.data.key in courses]
    requests += [course.request for course in known if course.request is not None]
    wished = [session.starts_at for request in requests for session in request.sessions or ()]
    wished += [m.data.starts_at for m in seeking if isinstance(m.data, SessionRescheduleRequested)]
    wished += [session.starts_at for course in known for session in course.sessions]
    if not wished:
        return Calendar()
    locations = sorted({request.location for request in requests})
    await rows(
        connection,
        "SELECT pg_advisory_xact_lock(hashtextextended(l, 0)) FROM unnest(CAST(:locations AS text[])) AS l",
        locations=locations,
    )
    return Calendar.of(
        Taken(row.session_id, row.location, row.chair, row.provider, row.patient_id, row.starts_at, row.ends_at)
        for row in await rows(
            connection,
            """SELECT session_id, location, chair, provider, patient_id, starts_at, ends_at FROM sessions
               WHERE state = ANY(CAST(:occupying AS text[]))
               AND (location = ANY(CAST(:locations AS text[])) OR patient_id = ANY(CAST(:patients AS text[])))
               AND starts_at < :last AND ends_at > :first""",
            occupying=sorted(OCCUPYING),
            locations=locations,
            patients=sorted({request.patient_id for request in requests}),
            first=min(wished),
            last=max(wished) + timedelta(days=1),
        )
    )


async def save(connection: AsyncConnection, changed: Mapping[str, Course], calendar: Calendar) -> None:
    """Write changed courses and their sessions; what frees a place goes before what takes one."""
    await write(
        connection, "courses", COURSE, to_json([_course_row(course) for course in changed.values()]), key=["course_id"]
    )
    sessions = [_session_row(course, session) for course in changed.values() for session in course.sessions]
    if sessions:
        sessions.sort(key=lambda row: row["state"] in OCCUPYING)
        await write(connection, "sessions", SESSION, to_json(sessions), key=["course_id", "session_id"])


def _course_row(course: Course) -> dict[str, Any]:
    request = course.request
    return {
        "course_id": course.course_id,
        "state": course.state,
        "request": request.model_dump(mode="json") if request else None,
        "patient_id": request.patient_id if request else None,
        "location": request.location if request else None,
        "hold_expires_at": course.hold_expires_at,
        "hold_open": course.hold_open,
        "waiting": [to_stored(message) for message in course.waiting],
    }


def _session_row(course: Course, session: Session) -> dict[str, Any]:
    assert course.request is not None
    return {
        **asdict(session),
        "course_id": course.course_id,
        "location": course.request.location,
        "patient_id": course.request.patient_id,
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
