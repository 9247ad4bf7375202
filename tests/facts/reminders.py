"""What reminders tells itself: what a person says, and what is to be answered."""

from datetime import datetime

from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from shared.contract.closed_sets import TextKind
from tests.facts.texted_course import PATIENT, PHONE


def said(
    allowed: bool, at: datetime, word: str = "", phone: str | None = PHONE, answer_for: str | None = "stella"
) -> ConsentRecorded:
    """The patient wants texts, or no more of them."""
    return ConsentRecorded(
        contact_id=PATIENT,
        allowed=allowed,
        wording=word or ("START" if allowed else "STOP"),
        source="text",
        recorded_at=at,
        phone=phone,
        answer_for=answer_for,
    )


def answer_wanted(kind: TextKind) -> AnswerWanted:
    """What the patient wrote is to be answered."""
    return AnswerWanted(contact_id=PATIENT, kind=kind, location="stella", phone=PHONE)
