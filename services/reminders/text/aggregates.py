"""What a message of reminders can be about: an aggregate is one of these prefixes and an id."""

from typing import Final

SERVICE: Final = "reminders"

COURSE: Final = "course:"

CONTACT: Final = "contact:"

PHONE: Final = "phone:"
"""A conversation on a phone."""

STOP: Final = "stop:"
"""The same conversation, of an opt-out: so no defect in what else was said on the phone holds it back."""
