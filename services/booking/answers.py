"""What booking's routes take and give, with an example of each for the OpenAPI document."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.booking.course import CourseState
from shared.contract import Id, Insurance, Name, Needs, Payer, SessionState

COURSE_ID: Final = "0b7f7a52-6d0b-4c26-9a5e-0f6a3d1c2b10"
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
                }
            ]
        }
    )

    course_id: UUID
    patient_id: Id
    treatment: Name
    payer: Payer


class Told(BaseModel):
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
