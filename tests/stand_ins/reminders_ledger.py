"""Whether texts were allowed at a past instant, by the ledger of consent and the changes of number."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.reminders.people.consent import Consent
from services.reminders.store.contacts import consent_ledger
from shared.postgres.query import rows
from shared.postgres.values import Connection


@dataclass(frozen=True, slots=True)
class Number:
    """From an instant on a contact had another number, or none; never which one."""

    phone_version: int
    since: datetime
    erased: bool


def allowed_at(entries: Iterable[Consent], numbers: Iterable[Number], instant: datetime) -> Consent | None:
    """The entry that allowed texts at an instant, by what was known then; None where they were not allowed."""
    latest = max((e for e in entries if e.heard_at <= instant), key=lambda e: e.rank, default=None)
    number = max((n for n in numbers if n.since <= instant), key=lambda n: (n.since, n.phone_version), default=None)
    if latest is None or not latest.allowed or number is None or number.erased:
        return None
    return latest if latest.phone_version == number.phone_version else None


async def allowed_then(connection: Connection, contact_id: str, instant: datetime) -> Consent | None:
    """The entry of the ledger that allowed texts to a contact at a past instant, or None."""
    numbers = await rows(
        connection, "SELECT phone_version, since, erased FROM numbers WHERE contact_id = :id", id=contact_id
    )
    entries = await consent_ledger(connection, contact_id)
    return allowed_at((Consent(contact_id, **entry) for entry in entries), (Number(*row) for row in numbers), instant)
