"""The topics by who writes them, and who answers what stands on them. How they are made stands in `shared.kafka`."""

from collections.abc import Mapping
from typing import Final, Literal

ServiceName = Literal["booking", "billing", "reminders"]

CLINIC_TOPICS: Final = ("clinic.requests", "clinic.sessions", "clinic.payments", "clinic.contacts", "clinic.patients")
"""Written by the outside: an unknown type here is bad input."""

ERASABLE: Final = {"clinic.contacts": "contact", "clinic.patients": "patient"}
"""Compacted topics with personal data: a null value erases the person, and their bytes never leave the database."""

ANSWERED_BY: Final[Mapping[str, ServiceName]] = {
    "clinic.requests": "booking",
    "clinic.sessions": "booking",
    "clinic.payments": "billing",
    "clinic.patients": "billing",
    "clinic.contacts": "reminders",
}
"""Whose dead letter an unreadable record becomes: one service's, however many hear the topic."""

SERVICE_TOPICS: Final = ("booking.events", "billing.events", "reminders.events")
"""Written by our services: an unknown type here is a newer release's, skipped and counted."""

DEAD_LETTER_TOPICS: Final = ("booking.dead-letters", "billing.dead-letters", "reminders.dead-letters")

CURRENCY: Final = "USD"
"""The one currency that is booked."""
