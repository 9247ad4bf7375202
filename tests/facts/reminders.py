"""What reminders tells itself of the patient of the default course (`tests.facts.course`): what they say, and want."""

from datetime import datetime
from typing import Any

from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from shared.contract.closed_sets import TextKind
from tests.facts.course import PATIENT, PHONE


def consent_recorded(
    allowed: bool,
    at: datetime,
    word: str = "",
    phone: str | None = PHONE,
    answer_for: str | None = "stella",
    contact_id: str = PATIENT,
) -> ConsentRecorded:
    """The patient wants texts, or no more of them."""
    return ConsentRecorded(
        contact_id=contact_id,
        allowed=allowed,
        wording=word or ("START" if allowed else "STOP"),
        source="text",
        recorded_at=at,
        phone=phone,
        answer_for=answer_for,
    )


def answer_wanted(kind: TextKind, **told: Any) -> AnswerWanted:
    """What the patient wrote is to be answered."""
    fields: dict[str, Any] = {"contact_id": PATIENT, "kind": kind, "location": "stella", "phone": PHONE}
    return AnswerWanted(**(fields | told))
