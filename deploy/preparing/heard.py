"""What each service acts upon, by topic: what its Kafka account may read, and what its document tells."""

from typing import Final

from services.billing.rules import decide as billing_rules
from services.booking.rules import decide as booking_rules
from services.reminders.rules import decide as reminders_rules

HEARS: Final = {"booking": booking_rules.HEARS, "billing": billing_rules.HEARS, "reminders": reminders_rules.HEARS}
