"""What a message of reminders can be about: the prefix of each kind's aggregate."""

from typing import Final

SERVICE: Final = "reminders"

COURSE: Final = "course:"
CONTACT: Final = "contact:"
PHONE: Final = "phone:"
STOP: Final = "stop:"
"""What is decided about, each by its id behind one of these: a course, a contact, a conversation on a phone. An opt-out
goes by a name of its own, so that no defect in what else was said on a phone can hold it back."""
