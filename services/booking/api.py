"""Booking's routes: a request becomes a message, takes the same road, and its decision is the answer."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from services.booking import store
from services.booking.course import Course
from services.booking.profile import Place
from shared.contract import (
    CourseAccepted,
    CourseCancelRequested,
    CourseEvent,
    CourseRejected,
    CourseRequested,
    PatientCheckedIn,
    PatientMissed,
    Refusal,
    RequestRejected,
    SessionCancelRequested,
    SessionCheckInRefused,
    SessionRescheduleRequested,
    TreatmentCompleted,
)
from shared.http import IdempotencyKey, Problem, Role, body_schema, caller, read_body, service_of, submit

Desk = Annotated[str, Depends(caller(Role.FRONT_DESK))]

REFUSALS: Final = {RequestRejected.type, SessionCheckInRefused.type, CourseRejected.type}

STATUS: Final = {Refusal.NOT_PAID: 402, Refusal.UNKNOWN_COURSE: 404, Refusal.UNKNOWN_SESSION: 404}
"""Refusals that HTTP has a word for; every other one is a conflict."""


def routes(places: Mapping[str, Place]) -> APIRouter:
    """The routes of booking."""
    router = APIRouter(tags=["booking"])

    @router.post("/v1/courses", status_code=201, openapi_extra=body_schema(CourseRequested))
    async def request_course(request: Request, by: Desk, key: IdempotencyKey) -> JSONResponse:
        """Hold chairs for a whole course, or learn every conflict."""
        wish = await read_body(request, CourseRequested)
        answer = await submit(request, by, key, wish)
        for event in answer:
            if event["type"] in REFUSALS:
                raise _refused(event)
        accepted = next((event["data"] for event in answer if event["type"] == CourseAccepted.type), None)
        return JSONResponse(
            accepted or _shown(await _course(request, wish.course_id), places), 201 if accepted else 200
        )

    @router.get("/v1/courses/{course_id}")
    async def get_course(request: Request, course_id: UUID, by: Desk) -> dict[str, Any]:
        """A course with its sessions."""
        return _shown(await _course(request, course_id), places)

    @router.post("/v1/courses/{course_id}/cancel", openapi_extra=body_schema(CourseCancelRequested, "course_id"))
    async def cancel_course(request: Request, course_id: UUID, by: Desk, key: IdempotencyKey) -> list[dict[str, Any]]:
        """Cancel what has not begun."""
        await _course(request, course_id)
        return await _act(request, by, key, await read_body(request, CourseCancelRequested, course_id=str(course_id)))

    @router.get("/v1/sessions")
    async def day_board(request: Request, location: str, day: date, by: Desk) -> list[dict[str, Any]]:
        """One location's sessions of one day, by its own clock."""
        if location not in places:
            raise Problem(404, "not_found", "there is no such location")
        zone = places[location].location.tz
        first = datetime.combine(day, time(), zone)
        last = datetime.combine(day + timedelta(days=1), time(), zone)
        async with service_of(request).database.begin() as connection:
            return await store.sessions_of_day(connection, location, first, last)

    for action, wish in (
        ("reschedule", SessionRescheduleRequested),
        ("cancel", SessionCancelRequested),
        ("check-in", PatientCheckedIn),
        ("complete", TreatmentCompleted),
        ("miss", PatientMissed),
    ):
        router.add_api_route(
            f"/v1/sessions/{{session_id}}/{action}",
            _session_action(wish),
            methods=["POST"],
            name=action,
            openapi_extra=body_schema(wish, "course_id", "session_id"),
        )
    return router


def _session_action(wish: type[CourseEvent]) -> Any:
    async def act(request: Request, session_id: UUID, by: Desk, key: IdempotencyKey) -> list[dict[str, Any]]:
        async with service_of(request).database.begin() as connection:
            course_id = await store.course_of(connection, session_id)
        if course_id is None:
            raise Problem(404, "not_found", "there is no such session")
        data = await read_body(request, wish, course_id=str(course_id), session_id=str(session_id))
        return await _act(request, by, key, data)

    act.__doc__ = wish.__doc__
    return act


async def _act(request: Request, by: str, key: str, wish: CourseEvent) -> list[dict[str, Any]]:
    answer = await submit(request, by, key, wish)
    for event in answer:
        if event["type"] in REFUSALS:
            raise _refused(event)
    return answer


def _refused(event: dict[str, Any]) -> Problem:
    data = event["data"]
    code = Refusal(data.get("code") or data["reason"])
    more = {"conflicts": data["conflicts"]} if "conflicts" in data else {}
    return Problem(STATUS.get(code, 409), code, data.get("detail", "the session stands otherwise"), **more)


async def _course(request: Request, course_id: UUID) -> Course:
    async with service_of(request).database.begin() as connection:
        course = (await store.load_courses(connection, {course_id})).get(str(course_id))
    if course is None or course.request is None:
        raise Problem(404, "not_found", "there is no such course")
    return course


def _shown(course: Course, places: Mapping[str, Place]) -> dict[str, Any]:
    assert course.request is not None
    place = places.get(course.request.location)
    return {
        "course_id": str(course.course_id),
        "state": course.state,
        "patient_id": course.request.patient_id,
        "location": course.request.location,
        "treatment": course.request.treatment,
        "payer": course.request.payer,
        "package": course.request.package,
        "hold_expires_at": course.hold_expires_at.isoformat() if course.hold_expires_at else None,
        "sessions": [
            {
                "session_id": str(session.session_id),
                "number": session.number,
                "of": len(course.sessions),
                "state": session.state,
                "starts_at": session.starts_at.isoformat(),
                "ends_at": session.ends_at.isoformat(),
                "time_zone": place.location.zone if place else None,
                "chair": session.chair,
                "provider": session.provider,
                "version": session.version,
            }
            for session in course.sessions
        ],
    }
