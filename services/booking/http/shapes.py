"""What booking's routes take and give, with an example of each for the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.booking.rules.course import CourseState
from shared.contract.clinic import Insurance
from shared.contract.closed_sets import Intent, Needs, Payer, SessionState
from shared.contract.fields import Id, Name

COURSE_ID: Final = "0b7f7a52-6d0b-4c26-9a5e-0f6a3d1c2b10"
CLOSURE_ID: Final = "5b1f0d3e-8f0f-4b53-9a4c-7d6f7c1e2a90"
SESSION_ID: Final = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01"
STARTS_AT: Final = "2030-01-07T15:00:00Z"
PAGE_END: Final = "20300107T150000.000000Z_3f0c9a440d6e4a7e9f416f2f5a3a1c01"
ENDS_AT: Final = "2030-01-07T16:45:00Z"

WISH: Final[dict[str, Any]] = {
    "course_id": COURSE_ID,
    "patient_id": "p-1043",
    "location": "albany",
    "treatment": "ketamine_induction",
    "payer": "self_pay",
}

CLOSED: Final[dict[str, Any]] = {
    "closure_id": CLOSURE_ID,
    "location": "albany",
    "starts_at": "2030-01-07T08:00:00-06:00",
    "ends_at": "2030-01-07T18:00:00-06:00",
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "request": {
        "sessions": WISH | {"sessions": [{"session_id": SESSION_ID, "starts_at": "2030-01-07T09:00:00-06:00"}]},
        "plan": WISH | {"plan": {"first_day": "2030-01-07", "weekdays": ["mon", "thu"], "earliest": "09:00"}},
    },
    "change": {
        "payer": {"payer": "insurance", "insurance": {"plan": "blue-ppo"}},
        "companion": {"companions": ["c-77"]},
        "sessions": {"add_sessions": [{"session_id": SESSION_ID, "starts_at": "2030-01-14T09:00:00-06:00"}]},
    },
    "cancel": {"patient": {"by": "patient"}},
    "reschedule": {"later": {"starts_at": "2030-01-08T09:00:00-06:00"}},
    "check-in": {"here": {"at": STARTS_AT, "starts_at": STARTS_AT}},
    "complete": {"treated": {"started_at": "2030-01-07T15:15:00Z", "ended_at": "2030-01-07T16:00:00Z"}},
    "closure": {
        "provider": CLOSED | {"provider": "provider-1"},
        "snow": CLOSED | {"closure_id": "e0d3a9f2-4c61-4f0f-8a5b-2f7d9b6c1e33"},
    },
    "miss": {"absent": {"at": ENDS_AT, "starts_at": STARTS_AT}},
}
"""Bodies by what they ask for."""

SESSION: Final[dict[str, Any]] = {
    "session_id": SESSION_ID,
    "number": 1,
    "of": 6,
    "state": "held",
    "needs": "money",
    "starts_at": STARTS_AT,
    "ends_at": ENDS_AT,
    "time_zone": "America/Chicago",
    "chair": "chair-1",
    "provider": "provider-1",
    "version": 1,
    "here_at": None,
}

BOOKED: Final = {name: value for name, value in SESSION.items() if name not in ("needs", "here_at")}
"""As events tell it."""

ACCEPTED: Final = WISH | {"companions": [], "hold_expires_at": "2030-01-04T12:00:00Z", "sessions": [BOOKED]}


class ShownSession(BaseModel):
    """A session as it stands.

    Attributes:
        needs: why it is not confirmed; null where it is, or where nothing is waited for any more.
        here_at: the patient checked in, and waits for money or cover.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [SESSION]})

    session_id: UUID
    number: int
    of: int
    state: SessionState
    needs: Needs | None
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    chair: str
    provider: str
    version: int
    here_at: datetime | None


class ShownCourse(BaseModel):
    """A course as it stands; a rejected one has no session."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                WISH
                | {
                    "state": "accepted",
                    "insurance": None,
                    "package": None,
                    "companions": [],
                    "hold_expires_at": "2030-01-04T12:00:00Z",
                    "sessions": [SESSION],
                }
            ]
        }
    )

    course_id: UUID
    state: CourseState
    patient_id: Id
    location: Name
    treatment: Name
    payer: Payer
    insurance: Insurance | None
    package: Name | None
    companions: tuple[Id, ...]
    hold_expires_at: datetime | None
    sessions: tuple[ShownSession, ...]


class BoardSession(ShownSession):
    """A session on the day's board, with what the desk must know of its course."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                SESSION
                | {
                    "course_id": COURSE_ID,
                    "patient_id": "p-1043",
                    "treatment": "ketamine_induction",
                    "payer": "self_pay",
                    "reply": "confirm",
                }
            ]
        }
    )

    course_id: UUID
    patient_id: Id
    treatment: Name
    payer: Payer
    reply: Annotated[Intent | None, Field(description="What the patient last wrote back about this time")]


class ResultingEvent(BaseModel):
    """One event that follows from a request, as it stands on `booking.events`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "booking.session.cancelled.v1",
                    "data": BOOKED
                    | {
                        "state": "cancelled",
                        "version": 2,
                        "course_id": COURSE_ID,
                        "patient_id": "p-1043",
                        "companions": [],
                        "location": "albany",
                        "treatment": "ketamine_induction",
                        "by": "patient",
                    },
                }
            ]
        }
    )

    type: str
    data: dict[str, Any]


class FreePlace(BaseModel):
    """A start that can be had, with the chair and the provider that are free then."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{name: SESSION[name] for name in ("starts_at", "ends_at", "time_zone", "chair", "provider")}]
        }
    )

    starts_at: datetime
    ends_at: datetime
    time_zone: str
    chair: str
    provider: str


class DisplacedSession(BaseModel):
    """A session that sat where a closure is.

    Attributes:
        result: `waiting` for its turn, `moved` to where it is now, `stays` since no other place was found (a person
            hears of it), or `over`.
    """

    session_id: UUID
    course_id: UUID
    state: SessionState
    starts_at: datetime
    ends_at: datetime
    chair: str
    provider: str
    previous_starts_at: datetime
    previous_chair: str
    previous_provider: str
    result: Literal["waiting", "moved", "stays", "over"]


class ShownClosure(BaseModel):
    """A closure, and each session that it concerns, in order of time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                CLOSED
                | {
                    "chair": None,
                    "provider": "provider-1",
                    "sessions": [
                        {
                            "session_id": SESSION_ID,
                            "course_id": COURSE_ID,
                            "state": "confirmed",
                            "starts_at": STARTS_AT,
                            "ends_at": ENDS_AT,
                            "chair": "chair-1",
                            "provider": "provider-2",
                            "previous_starts_at": STARTS_AT,
                            "previous_chair": "chair-1",
                            "previous_provider": "provider-1",
                            "result": "moved",
                        }
                    ],
                }
            ]
        }
    )

    closure_id: UUID
    location: Name
    chair: Name | None
    provider: Name | None
    starts_at: datetime
    ends_at: datetime
    sessions: tuple[DisplacedSession, ...]
