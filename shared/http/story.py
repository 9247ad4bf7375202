"""The route to a course's story: what a service decided, as ids, states and reasons, and nothing of the person."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict

from shared.configuration.api_keys import Role
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import READ, Problem
from shared.postgres.values import Connection
from shared.tables import attention, dead_letters, outbox

SHOWN_FIELDS: Final = frozenset(
    {
        *("session_id", "number", "state", "starts_at", "previous_starts_at", "due_at", "hold_expires_at", "version"),
        *("grant", "reason", "code", "basis", "needs", "by", "kind", "intent", "sessions", "sessions_completed"),
        *("payment_id", "refund_id", "request_id", "estimate_id", "superbill_id", "text_id"),
    }
)
"""The fields of an event that are shown: never who the patient is, what they are treated for, or what they pay."""

COURSE_ID: Final = "0b7f7a52-6d0b-4c26-9a5e-0f6a3d1c2b10"
SESSION_ID: Final = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01"
STORY: Final[dict[str, Any]] = {
    "course_id": COURSE_ID,
    "events": [
        {
            "at": "2030-01-04T12:00:00Z",
            "published_at": "2030-01-04T12:00:00.020000Z",
            "id": "0a3c8a0c-6a53-5c7b-8a39-5a3c9a1f7e21",
            "type": "booking.session.confirmed.v1",
            "data": {"session_id": SESSION_ID, "number": 1, "state": "confirmed", "grant": 1},
        }
    ],
    "dead_letters": [
        {"id": 7, "kind": "defect", "error_type": "KeyError", "topic": "billing.events", "at": "2030-01-05T09:00:00Z"}
    ],
    "attention": [
        {
            "id": "5f6f4f0e-8a35-5a0c-b1d3-2f4b7d9a8c11",
            "kind": "unreported_session",
            "subject": SESSION_ID,
            "raised_at": "2030-01-08T04:45:00Z",
            "resolved_at": None,
        }
    ],
}


class ToldEvent(BaseModel):
    """An event that this service decided; `published_at` is null while it waits for the relay."""

    at: datetime
    published_at: datetime | None
    id: str
    type: str
    data: dict[str, Any]


class OpenLetter(BaseModel):
    """A message of the course that had no effect, and holds it back unless it is unreadable."""

    id: int
    kind: str
    error_type: str
    topic: str
    at: datetime


class Matter(BaseModel):
    """What a person had to settle about the course, or still has to."""

    id: UUID
    kind: str
    subject: str
    raised_at: datetime
    resolved_at: datetime | None


class CourseStory(BaseModel):
    """A course's events that this service decided within the 30 days that it keeps, and what waits for a person."""

    model_config = ConfigDict(json_schema_extra={"examples": [STORY]})

    course_id: UUID
    events: list[ToldEvent]
    dead_letters: list[OpenLetter]
    attention: list[Matter]


story = APIRouter()


@story.get("/ops/courses/{course_id}/story", tags=["operations"], responses=READ)
async def course_story(
    request: Request,
    by: Annotated[str, Depends(RequiresRole(Role.OPERATOR))],
    course_id: Annotated[UUID, Path(examples=[COURSE_ID])],
) -> CourseStory:
    """The events that this service decided about a course, oldest first, and what of it waits for a person. No index
    leads there: it reads the whole outbox, so ask for one course, not for all.
    """
    async with service_of(request).database.begin() as connection:
        found = await _story(connection, course_id)
    if not (found.events or found.dead_letters or found.attention):
        raise Problem(404, "not_found", "this service has told nothing of such a course")
    return found


async def _story(connection: Connection, course_id: UUID) -> CourseStory:
    events = await outbox.events_of_key(connection, str(course_id).encode())
    letters = await dead_letters.open_of_course(connection, course_id)
    matters = await attention.of_course(connection, course_id)
    return CourseStory(
        course_id=course_id,
        events=[
            ToldEvent(
                at=row.created_at,
                published_at=row.published_at,
                id=row.event_id,
                type=(dict(outbox.unpack(row.headers)).get("ce_type") or b"").decode(),
                data=_shown_fields(orjson.loads(row.value)),
            )
            for row in events
        ],
        dead_letters=[OpenLetter(**row) for row in letters],
        attention=[Matter(**row) for row in matters],
    )


def _shown_fields(data: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in data.items() if name in SHOWN_FIELDS}
    if "sessions" in kept:
        kept["sessions"] = [_shown_fields(session) for session in kept["sessions"]]
    return kept
