"""Whether a number may be texted: what was agreed to, by whom and when, so that late news cannot upset it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.decision.message import derived_id

CARRIER: Final = "carrier"
"""Source of an opt-out that a send brought to light: the carrier blocks the number at the person's own wish."""

BY_TEXT: Final = "text"
"""Source of what a person wrote from their phone."""

ERASED: Final = "erased"
NEW_NUMBER: Final = "new_number"


@dataclass(frozen=True, slots=True)
class Consent:
    """One entry of the ledger. `phone_version` says for which of a contact's numbers, never the number itself."""

    contact_id: str
    allowed: bool
    wording: str
    source: str
    recorded_at: datetime
    heard_at: datetime
    phone_version: int

    @property
    def consent_id(self) -> UUID:
        """The same for the same record, however often it is told, and for whichever number."""
        what = f"{self.contact_id}/{self.allowed}/{self.wording}/{self.source}/{self.recorded_at.isoformat()}"
        return derived_id(f"consent/{what}")

    @property
    def rank(self) -> tuple[datetime, bool]:
        """What comes later counts; an opt-out wins a tie. Nothing counts as said later than when we heard of it."""
        return min(self.recorded_at, self.heard_at), not self.allowed
