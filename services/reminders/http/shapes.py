"""What reminders' routes take and give, each with an example."""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.reminders.store.pauses import Scope
from services.reminders.text.text import TextState
from shared.contract.closed_sets import Intent, SuppressedReason, TextKind
from shared.contract.fields import Flag, Id, Instant, Line, Name

COURSE_ID: Final = "5f4c2a1e-8d36-4b8e-9a53-0c6f1b2d7e01"
TEXT_ID: Final = "1b671a64-40d5-491e-99b0-da01ff1f3341"
SESSION_ID: Final = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01"
CONTACT_ID: Final = "p-1043"
SID: Final = "SM" + "0123456789abcdef" * 2
AT: Final = "2030-01-05T15:00:00Z"

SHOWN_TEXT: Final[dict[str, Any]] = {
    "text_id": TEXT_ID,
    "contact_id": CONTACT_ID,
    "course_id": COURSE_ID,
    "session_id": SESSION_ID,
    "session_version": 2,
    "kind": "day_before",
    "state": "delivered",
    "reason": None,
    "nominal_at": AT,
    "due_at": AT,
    "deadline_at": "2030-01-06T11:00:00Z",
    "body": "Albany: see you on Mon Jan 7 at 9:00 AM. Reply C to confirm, R if you cannot come, or call 618-555-0100.",
    "segments": 1,
    "attempts": 1,
    "sent_at": AT,
    "delivered_at": "2030-01-05T15:00:04Z",
    "provider_sid": SID,
    "provider_status": "delivered",
    "code": None,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "trace": [
        {"at": AT, "what": "planned", "why": "the clinic's ladder: day_before, version 2 of its session"},
        {"at": AT, "what": "attempt 1", "why": "consent 'v3' from 'intake', recorded at 2026-01-05T15:00:00+00:00"},
        {"at": AT, "what": "sent", "why": "the provider took it; its last word: delivered"},
        {"at": "2030-01-05T15:00:04Z", "what": "delivered", "why": "the handset has it"},
    ],
}


class TextStep(BaseModel):
    """One step of a text's story; `at` is null where it is not on record."""

    at: datetime | None
    what: str
    why: str


class ShownText(BaseModel):
    """A text, planned or gone. `body` is what was sent, or would be now; `trace` tells why."""

    model_config = ConfigDict(json_schema_extra={"examples": [SHOWN_TEXT]})

    text_id: UUID
    contact_id: str
    course_id: UUID | None
    session_id: UUID | None
    session_version: int | None
    kind: TextKind
    state: TextState
    reason: SuppressedReason | None
    nominal_at: datetime
    due_at: datetime
    deadline_at: datetime
    body: str | None
    segments: int | None
    attempts: int
    sent_at: datetime | None
    delivered_at: datetime | None
    provider_sid: str | None
    provider_status: str | None
    code: str | None
    trace_id: str | None = Field(description="of what planned it: the same on every event and log line that led here")
    trace: list[TextStep] = []


SHOWN_REPLY: Final[dict[str, Any]] = {
    "sid": SID,
    "contact_id": CONTACT_ID,
    "course_id": COURSE_ID,
    "session_id": SESSION_ID,
    "intent": "confirm",
    "body": "C",
    "received_at": AT,
    "phone": None,
}


class ShownReply(BaseModel):
    """What somebody wrote. `phone` is told of a number that no contact has; `body` goes with an erased person."""

    model_config = ConfigDict(json_schema_extra={"examples": [SHOWN_REPLY]})

    sid: str
    contact_id: str | None
    course_id: UUID | None
    session_id: UUID | None
    intent: Intent
    body: str | None
    received_at: datetime
    phone: str | None


SHOWN_CONSENT: Final[dict[str, Any]] = {
    "contact_id": CONTACT_ID,
    "allowed": True,
    "opted_out": False,
    "entries": [
        {
            "allowed": True,
            "wording": "intake form, version 3",
            "source": "intake",
            "recorded_at": AT,
            "heard_at": AT,
            "for_current_number": True,
        }
    ],
}


class ConsentEntry(BaseModel):
    """One entry of the ledger; `recorded_at` is when the person said it, `heard_at` when we heard of it."""

    allowed: bool
    wording: str
    source: str
    recorded_at: datetime
    heard_at: datetime
    for_current_number: bool


class ShownConsent(BaseModel):
    """Whether a person may be texted, and why: every entry of the ledger, the oldest first. Never the number."""

    model_config = ConfigDict(json_schema_extra={"examples": [SHOWN_CONSENT]})

    contact_id: str
    allowed: bool
    opted_out: bool
    entries: list[ConsentEntry]


class ConsentGiven(BaseModel):
    """What a person told the desk. `wording` names the form, `recorded_at` is when they said it, now where left out."""

    allowed: Flag
    wording: Annotated[Name, Field(description="which form or wording the person agreed to, or how they declined")]
    recorded_at: Instant | None = None


class Stretch(BaseModel):
    """Which texts: a clinic's, a contact's, or all where neither is named."""

    clinic: Name | None = None
    contact_id: Id | None = None
    reason: Line = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.clinic is not None and self.contact_id is not None:
            raise ValueError("either clinic or contact_id")
        return self

    @property
    def scope(self) -> Scope:
        """What the pause stops."""
        if self.clinic is not None:
            return Scope.CLINIC
        return Scope.ALL if self.contact_id is None else Scope.CONTACT

    @property
    def subject(self) -> str:
        """The clinic or contact; empty for all."""
        return self.clinic or self.contact_id or ""


class Pause(BaseModel):
    """Texts that wait until somebody resumes them; what passes its deadline meanwhile is never sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "scope": "clinic",
                    "subject": "albany",
                    "paused_at": AT,
                    "paused_by": "front desk",
                    "reason": "water damage: all visits are being moved",
                }
            ]
        }
    )

    scope: Scope
    subject: str
    paused_at: datetime
    paused_by: str
    reason: str


CONSENT_EXAMPLES: Final[dict[str, Any]] = {
    "agreed": {"allowed": True, "wording": "intake form, version 3", "recorded_at": "2026-01-05T15:00:00Z"},
    "declined": {"allowed": False, "wording": "said so at the desk"},
}
PAUSE_EXAMPLES: Final[dict[str, Any]] = {
    "all": {"reason": "the clinic's phone is down"},
    "clinic": {"clinic": "albany", "reason": "water damage: all visits are being moved"},
    "contact": {"contact_id": CONTACT_ID},
}
RESUME_EXAMPLES: Final[dict[str, Any]] = {
    "all": {},
    "clinic": {"clinic": "albany"},
    "contact": {"contact_id": CONTACT_ID},
}
