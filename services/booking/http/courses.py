"""Routes of courses, their sessions, and closures.

A request becomes a message that goes through the rules like one from Kafka; the events that follow are the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse

from services.booking.chairs.location import ChairPlan
from services.booking.http.refusals import judge, refuse_skipped, rejected
from services.booking.http.shapes import (
    ACCEPTED,
    CLOSURE_ID,
    COURSE_ID,
    EXAMPLES,
    SESSION_ID,
    DisplacedSession,
    ResultingEvent,
    ShownClosure,
    ShownCourse,
    ShownSession,
)
from services.booking.rules.closures import ClosureRequested
from services.booking.rules.course import Course
from services.booking.store.board import awaiting_authorization, needs_of, whereabouts
from services.booking.store.closures import closure_results, load_closures
from services.booking.store.courses import load_courses
from shared.configuration.api_keys import Role
from shared.contract.booking import CourseAccepted, CourseRejected
from shared.contract.clinic import (
    CourseCancelRequested,
    CourseChangeRequested,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    SessionCancelRequested,
    SessionRescheduleRequested,
    TreatmentCompleted,
)
from shared.contract.register import CourseEvent
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import READ, WRITE, Problem, problems
from shared.http.requests import IdempotencyKey, body_schema, parse_body, receive, submit
from shared.worker.service_rules import Answer

Desk = Annotated[str, Depends(RequiresRole(Role.FRONT_DESK))]
CourseId = Annotated[UUID, Path(examples=[COURSE_ID])]
SessionId = Annotated[UUID, Path(examples=[SESSION_ID])]


def course_routes(places: Mapping[str, ChairPlan]) -> APIRouter:
    """The routes of courses, sessions and closures."""
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
        return JSONResponse((await _shown(request, wish.course_id)).model_dump(mode="json"))

    @router.get("/v1/courses/{course_id}", responses=READ)
    async def get_course(request: Request, course_id: CourseId, by: Desk) -> ShownCourse:
        """A course with its sessions."""
        return await _shown(request, course_id)

    for verb, asked in (("cancel", CourseCancelRequested), ("change", CourseChangeRequested)):
        router.add_api_route(
            f"/v1/courses/{{course_id}}/{verb}",
            _course_action(asked, places),
            methods=["POST"],
            name=f"{verb}_course",
            response_model=list[ResultingEvent],
            responses=WRITE,
            openapi_extra=body_schema(asked, "course_id", **EXAMPLES[verb]),
        )

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
            response_model=list[ResultingEvent],
            responses=WRITE | (problems(402) if wish is PatientCheckedIn else {}),
            openapi_extra=body_schema(wish, "course_id", "session_id", **EXAMPLES[verb]),
        )

    @router.post(
        "/v1/closures",
        status_code=201,
        responses=WRITE,
        openapi_extra=body_schema(ClosureRequested, **EXAMPLES["closure"]),
    )
    async def request_closure(request: Request, by: Desk, key: IdempotencyKey) -> ShownClosure:
        """Close a place, a chair or a provider for a while, and move the sessions that are there.

        Each is moved by a message of its own a moment later: look again to learn where it went.
        """
        body = await receive(request)
        wish = parse_body(body, ClosureRequested)
        _check_closure(places, wish)
        refuse_skipped(body, places[wish.location])
        await submit(request, by, key, wish)
        asked, shown = await _closure(request, wish.closure_id)
        if asked != wish:
            raise Problem(409, "closure_exists", "the closure id is taken by a closure with other content")
        return shown

    @router.get("/v1/closures/{closure_id}", responses=READ)
    async def get_closure(
        request: Request, closure_id: Annotated[UUID, Path(examples=[CLOSURE_ID])], by: Desk
    ) -> ShownClosure:
        """A closure, and what became of each session that it concerns."""
        return (await _closure(request, closure_id))[1]

    return router


def _check_closure(places: Mapping[str, ChairPlan], wish: ClosureRequested) -> None:
    if wish.location not in places:
        raise Problem(404, "not_found", "there is no such location")
    room = places[wish.location].room
    for field, name, names in (("chair", wish.chair, room.chairs), ("provider", wish.provider, room.providers)):
        if name is not None and name not in names:
            raise Problem(422, "invalid", f"{field}: the location has none of this name")


def _course_action(wish: type[CourseEvent], places: Mapping[str, ChairPlan]) -> Any:
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


def _session_action(wish: type[CourseEvent], places: Mapping[str, ChairPlan]) -> Any:
    async def act(request: Request, session_id: SessionId, by: Desk, key: IdempotencyKey) -> Answer:
        body = await receive(request)
        async with service_of(request).database.begin() as connection:
            where = await whereabouts(connection, session_id)
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


async def _course(request: Request, course_id: UUID) -> Course:
    async with service_of(request).database.begin() as connection:
        course = (await load_courses(connection, {course_id})).get(str(course_id))
    if course is None or course.request is None:
        raise Problem(404, "not_found", "there is no such course")
    return course


async def _shown(request: Request, course_id: UUID) -> ShownCourse:
    course = await _course(request, course_id)
    assert course.request is not None
    async with service_of(request).database.begin() as connection:
        insurer = await awaiting_authorization(connection, [s.session_id for s in course.sessions])
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
            )
            for session in course.sessions
        ),
    )


async def _closure(request: Request, closure_id: UUID) -> tuple[ClosureRequested, ShownClosure]:
    async with service_of(request).database.begin() as connection:
        closures = await load_closures(connection, [closure_id])
        results = await closure_results(connection, closure_id)
    for closure in closures.values():
        sessions = tuple(DisplacedSession(**row) for row in results)
        return closure.request, ShownClosure(**dict(closure.request), sessions=sessions)
    raise Problem(404, "not_found", "there is no such closure")
