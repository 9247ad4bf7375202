"""Booking's routes: a request becomes a message, takes the same road, and its decision is the answer."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from services.booking import board, store
from services.booking.answers import (
    ACCEPTED,
    COURSE_ID,
    EXAMPLES,
    PAGE_END,
    SESSION_ID,
    BoardSession,
    ShownCourse,
    ShownSession,
    Told,
)
from services.booking.board import Cursor, needs_of
from services.booking.course import Course
from services.booking.profile import Place
from services.booking.refusals import judge, refuse_skipped, rejected
from shared.batch import Answer
from shared.contract import (
    CourseAccepted,
    CourseCancelRequested,
    CourseChangeRequested,
    CourseEvent,
    CourseRejected,
    CourseRequested,
    Day,
    PatientCheckedIn,
    PatientMissed,
    SessionCancelRequested,
    SessionRescheduleRequested,
    TreatmentCompleted,
)
from shared.http import (
    IdempotencyKey,
    Problem,
    Role,
    body_schema,
    caller,
    parse_body,
    problems,
    receive,
    service_of,
    submit,
)

Desk = Annotated[str, Depends(caller(Role.FRONT_DESK))]
CourseId = Annotated[UUID, Path(examples=[COURSE_ID])]
SessionId = Annotated[UUID, Path(examples=[SESSION_ID])]
BoardDay = Annotated[Day, Query(examples=["2030-01-07"]), Field(ge=date(1900, 1, 1), le=date(2999, 12, 30))]

READ: Final = problems(401, 403, 404, 422, 503)
WRITE: Final = problems(400, 401, 403, 404, 409, 413, 422, 503)
"""What can go wrong; each with a stable code in its title."""


def routes(places: Mapping[str, Place]) -> APIRouter:
    """The routes of booking."""
    router = APIRouter(tags=["booking"])

    @router.post(
        "/v1/courses",
        status_code=201,
        response_model=CourseAccepted,
        responses=WRITE
        | {
            200: {"model": ShownCourse, "description": "It was accepted before"},
            201: {"content": {"application/json": {"example": ACCEPTED}}},
        },
        openapi_extra=body_schema(CourseRequested, **EXAMPLES["request"]),
    )
    async def request_course(request: Request, by: Desk, key: IdempotencyKey) -> JSONResponse:
        """Hold chairs for a whole course, or learn every conflict, with free times near by."""
        body = await receive(request)
        wish = parse_body(body, CourseRequested)
        if wish.location in places:
            refuse_skipped(body, places[wish.location])
        answer = await submit(request, by, key, wish)
        for event in answer:
            if event["type"] == CourseRejected.type:
                raise rejected(event["data"], wish)
        await judge(request, answer)
        accepted = next((event["data"] for event in answer if event["type"] == CourseAccepted.type), None)
        if accepted is not None:
            return JSONResponse(accepted, 201)
        return JSONResponse((await _shown(request, wish.course_id, places)).model_dump(mode="json"))

    @router.get("/v1/courses/{course_id}", responses=READ)
    async def get_course(request: Request, course_id: CourseId, by: Desk) -> ShownCourse:
        """A course with its sessions."""
        return await _shown(request, course_id, places)

    for verb, asked in (("cancel", CourseCancelRequested), ("change", CourseChangeRequested)):
        router.add_api_route(
            f"/v1/courses/{{course_id}}/{verb}",
            _course_action(asked, places),
            methods=["POST"],
            name=f"{verb}_course",
            response_model=list[Told],
            responses=WRITE,
            openapi_extra=body_schema(asked, "course_id", **EXAMPLES[verb]),
        )

    @router.get("/v1/sessions", responses=READ)
    async def day_board(
        request: Request,
        response: Response,
        by: Desk,
        location: Annotated[str, Query(examples=["albany"])],
        day: BoardDay,
        limit: Annotated[int, Query(ge=1, le=500, examples=[200])] = 200,
        after: Annotated[
            str | None, Query(description="Where the page before ended: its Link header says", examples=[PAGE_END])
        ] = None,
    ) -> list[BoardSession]:
        """One location's sessions of one day, by its own clock, each with why it is not confirmed.

        Where there are more, the header `Link` leads to the next page (RFC 8288).
        """
        if location not in places:
            raise Problem(404, "not_found", "there is no such location")
        zone = places[location].location.tz
        first, last = (datetime.combine(day + timedelta(days=n), time(), zone) for n in (0, 1))
        async with service_of(request).database.begin() as connection:
            found = await board.sessions_of_day(connection, location, first, last, limit + 1, _cursor(after))
        shown = [BoardSession(time_zone=zone.key, **row) for row in found[:limit]]
        if len(found) > limit:
            end = Cursor(shown[-1].starts_at, shown[-1].session_id)
            page = urlencode({"location": location, "day": day, "limit": limit, "after": end})
            response.headers["Link"] = f'<{request.url.path}?{page}>; rel="next"'
        return shown

    for verb, wish in (
        ("reschedule", SessionRescheduleRequested),
        ("cancel", SessionCancelRequested),
        ("check-in", PatientCheckedIn),
        ("complete", TreatmentCompleted),
        ("miss", PatientMissed),
    ):
        router.add_api_route(
            f"/v1/sessions/{{session_id}}/{verb}",
            _session_action(wish, places),
            methods=["POST"],
            name=verb,
            response_model=list[Told],
            responses=WRITE | (problems(402) if wish is PatientCheckedIn else {}),
            openapi_extra=body_schema(wish, "course_id", "session_id", **EXAMPLES[verb]),
        )
    return router


def _course_action(wish: type[CourseEvent], places: Mapping[str, Place]) -> Any:
    async def act(request: Request, course_id: CourseId, by: Desk, key: IdempotencyKey) -> Answer:
        body = await receive(request)
        course = await _course(request, course_id)
        data = parse_body(body, wish, course_id=str(course_id))
        if course.request is not None and course.request.location in places:
            refuse_skipped(body, places[course.request.location])
        answer = await submit(request, by, key, data)
        await judge(request, answer)
        return answer

    act.__doc__ = wish.__doc__
    return act


def _session_action(wish: type[CourseEvent], places: Mapping[str, Place]) -> Any:
    async def act(request: Request, session_id: SessionId, by: Desk, key: IdempotencyKey) -> Answer:
        body = await receive(request)
        async with service_of(request).database.begin() as connection:
            where = await board.whereabouts(connection, session_id)
        if where is None:
            raise Problem(404, "not_found", "there is no such session")
        data = parse_body(body, wish, course_id=str(where.course_id), session_id=str(session_id))
        if where.location in places:
            refuse_skipped(body, places[where.location])
        answer = await submit(request, by, key, data)
        await judge(request, answer)
        return answer

    act.__doc__ = wish.__doc__
    return act


def _cursor(text: str | None) -> Cursor | None:
    try:
        return Cursor.read(text) if text is not None else None
    except ValueError:
        raise Problem(422, "invalid", "query.after: is no end of a page") from None


# Courses as they stand -----------------------------------------------------------------------------------------------


async def _course(request: Request, course_id: UUID) -> Course:
    async with service_of(request).database.begin() as connection:
        course = (await store.load_courses(connection, {course_id})).get(str(course_id))
    if course is None or course.request is None:
        raise Problem(404, "not_found", "there is no such course")
    return course


async def _shown(request: Request, course_id: UUID, places: Mapping[str, Place]) -> ShownCourse:
    course = await _course(request, course_id)
    assert course.request is not None
    async with service_of(request).database.begin() as connection:
        insurer = await board.awaiting_authorization(connection, [s.session_id for s in course.sessions])
    place = places.get(course.request.location)
    told = course.request.model_dump(exclude={"sessions", "plan", "minutes", "records"})
    return ShownCourse(
        **told,
        state=course.state,
        hold_expires_at=course.hold_expires_at,
        sessions=tuple(
            ShownSession(
                **{name: getattr(session, name) for name in ShownSession.model_fields if hasattr(session, name)},
                of=len(course.sessions),
                needs=needs_of(session.state, session.session_id in insurer),
                time_zone=place.location.zone if place else "UTC",
            )
            for session in course.sessions
        ),
    )
