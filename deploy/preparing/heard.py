"""What each service listens to, by topic, as its own rules and notes say; its Kafka account may read these topics."""

from typing import Final

from services.billing.rules import decide as billing_rules
from services.booking.rules import decide as booking_rules
from services.booking.store.board import NOTES as BOOKING_NOTES
from services.reminders.rules import decide as reminders_rules
from shared.worker.service_rules import listens

HEARS: Final = {"booking": booking_rules.HEARS, "billing": billing_rules.HEARS, "reminders": reminders_rules.HEARS}
"""The event types that each service's rules decide about."""

LISTENS: Final = HEARS | {"booking": listens(booking_rules.HEARS, BOOKING_NOTES)}
"""The same with those that a service only notes."""
