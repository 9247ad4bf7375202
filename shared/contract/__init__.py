"""Every message type and every closed set that travels between Chairtime and the outside world, one page an author.

What lives here: the data of each CloudEvent as a pydantic model, with its type name, its topic and its Kafka key: what
clinics' systems say (`clinic`), what each service says (`booking`, `billing`, `reminders`), what goes no further than
the service (`internal`); and below them the closed sets, the kinds of field, the register of all types, the topics.
What does not: how a message is put on the wire (`shared.kafka.envelope`), and every rule about what to do with it.

The contract only grows: a field may be added if it is optional; anything else is a new type `.v2`.
Kafka consumers ignore fields that they do not know; the HTTP APIs refuse them (`model_validate(..., extra="forbid")`).
"""

# Whoever imports any page has them all: a page that nobody imports would be missing from the register.
from shared.contract import clinic, booking, billing, reminders, internal  # isort: skip

__all__ = ["billing", "booking", "clinic", "internal", "reminders"]
