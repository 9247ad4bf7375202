"""One text on its way to a provider."""

from datetime import timedelta
from uuid import UUID

from services.reminders.text.provider import OutgoingText
from shared.contract.closed_sets import TextKind
from tests.facts.course import NOW, PHONE

TEXT = OutgoingText(
    text_id=UUID(int=1),
    attempt_id=UUID(int=2),
    clinic="stella",
    kind=TextKind.DAY_OF,
    to=PHONE,
    body="Stella: see you today at 9:00 AM.",
    segments=1,
    at=NOW,
    valid_for=timedelta(minutes=90),
)
