"""A location's calendar for whoever has its link, such as a phone of the staff: which chair is taken when.

The link is a secret and may lie with strangers (calendar services fetch it), so the calendar names nobody: no patient,
no provider, no treatment. A new link ends the old one, and it can be revoked at any time.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from icalendar import STATUS, Calendar, Event
from pydantic import BaseModel, ConfigDict

from services.booking.chairs.location import ChairPlan
from services.booking.store import calendar_links as links
from shared.configuration.api_keys import Role
from shared.contract.closed_sets import SessionState
from shared.contract.fields import Name
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import Problem, problems

Operator = Annotated[str, Depends(RequiresRole(Role.OPERATOR))]
AtLocation = Annotated[Name, Path(examples=["albany"])]

PAST: Final = timedelta(days=7)
AHEAD: Final = timedelta(days=92)

REFRESH: Final = timedelta(minutes=15)


class Link(BaseModel):
    """Where the calendar is read. It is told once; only its hash is kept."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "/v1/calendars/4V0kRz1nE6vVQ2r5cP8mTq7oHs3yLx9uWb0aJd1fGi2.ics"}]}
    )

    url: str


def feed_routes(places: Mapping[str, ChairPlan]) -> APIRouter:
    """The routes of the calendars."""
    router = APIRouter(tags=["calendar"])

    @router.put("/v1/locations/{location}/calendar", responses=problems(401, 403, 404, 422, 503))
    async def issue_link(request: Request, location: AtLocation, by: Operator) -> Link:
        """Make a link to the location's calendar; the one before it opens nothing any more."""
        if location not in places:
            raise Problem(404, "not_found", "there is no such location")
        service, token = service_of(request), secrets.token_urlsafe(32)
        async with service.database.begin() as connection:
            await links.issue_link(connection, location, token, by, service.clock.now())
        return Link(url=f"/v1/calendars/{token}.ics")

    @router.delete("/v1/locations/{location}/calendar", status_code=204, responses=problems(401, 403, 404, 422, 503))
    async def revoke_link(request: Request, location: AtLocation, by: Operator) -> None:
        """Shut the location's calendar; again has no effect."""
        if location not in places:
            raise Problem(404, "not_found", "there is no such location")
        async with service_of(request).database.begin() as connection:
            await links.revoke_link(connection, location)

    @router.get(
        "/v1/calendars/{token}.ics",
        response_class=Response,
        responses=problems(404, 422, 503) | {200: {"content": {"text/calendar": {"example": EXAMPLE}}}},
    )
    async def read_calendar(
        request: Request, token: Annotated[str, Path(max_length=64, examples=["4V0kRz1nE6vVQ2r5cP8mTq7oHs3yLx9uWb0"])]
    ) -> Response:
        """A location's sessions of the last week and the next three months, as iCalendar (RFC 5545)."""
        service = service_of(request)
        now = service.clock.now()
        async with service.database.begin() as connection:
            found = await links.sessions_of_link(connection, token, now - PAST, now + AHEAD)
        if not found or found[0].location not in places:
            raise Problem(404, "not_found", "there is no such calendar")
        booked = [row for row in found if row.session_id is not None]
        body = calendar(places[found[0].location], booked, now)
        return Response(body, media_type="text/calendar", headers={"Cache-Control": "private, no-cache"})

    return router


def calendar(place: ChairPlan, booked: Iterable[Any], now: datetime) -> bytes:
    """Sessions as iCalendar.

    Args:
        booked: rows with session_id, state, starts_at, ends_at, chair and version.
    """
    shown = Calendar.new(name=place.location.public_name, prodid="-//Chairtime//booking//EN", refresh_interval=REFRESH)
    for session in booked:
        event = Event.new(
            uid=str(session.session_id),
            sequence=session.version,
            stamp=now,
            start=session.starts_at,
            end=session.ends_at,
            summary=session.chair,
            status=STATUS.TENTATIVE if session.state == SessionState.HELD else STATUS.CONFIRMED,
        )
        shown.add_component(event)
    return bytes(shown.to_ical())


EXAMPLE: Final = "\r\n".join(
    (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Chairtime//booking//EN",
        "BEGIN:VEVENT",
        "UID:3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01",
        "DTSTAMP:20300101T120000Z",
        "DTSTART:20300107T150000Z",
        "DTEND:20300107T164500Z",
        "SEQUENCE:2",
        "STATUS:CONFIRMED",
        "SUMMARY:chair-1",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
)
