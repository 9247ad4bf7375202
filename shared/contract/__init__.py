"""Every message type and every closed set that travels between Chairtime and the outside world, on one page.

What lives here: the data of each CloudEvent as a pydantic model, with its type name, its topic and its Kafka key.
What does not: how a message is put on the wire (`shared.envelope`), and every rule about what to do with it.

The contract only grows: a field may be added if it is optional; anything else is a new type `.v2`.
Kafka consumers ignore fields that they do not know; the HTTP APIs refuse them (`model_validate(..., extra="forbid")`).
"""
