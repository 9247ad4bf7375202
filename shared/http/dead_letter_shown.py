"""A dead letter as an operator sees it: its place, its reason and its headers, never its bytes."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from shared.postgres.values import Connection
from shared.tables.dead_letters import Kind, Status, with_followers
from shared.tables.outbox import unpack

LETTER: Final[dict[str, Any]] = {
    "id": 7,
    "message_id": "till-88120",
    "kind": "unreadable",
    "status": "open",
    "aggregate": None,
    "error_type": "invalid",
    "error": "data: amount_cents: greater_than",
    "topic": "clinic.payments",
    "partition": 3,
    "kafka_offset": 1283,
    "arrived_at": "2030-01-05T09:00:00Z",
    "ended_at": None,
    "ended_by": None,
    "reason": None,
    "headers": [["ce_id", "till-88120"], ["ce_type", "clinic.payment.captured.v1"]],
    "value_bytes": 212,
    "behind": 0,
}


class ShownLetter(BaseModel):
    """A letter with its place and its headers, of which only an event's attributes have a value here. Its bytes are not
    told; `value_bytes` is how many there are, null for a null. `behind` is how many wait behind it.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [LETTER]})

    id: int
    message_id: str
    kind: Kind
    status: Status
    aggregate: str | None
    error_type: str
    error: str
    topic: str
    partition: int
    kafka_offset: int
    arrived_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    reason: str | None
    headers: list[tuple[str, str | None]]
    value_bytes: int | None
    behind: int


async def shown(connection: Connection, id: int) -> ShownLetter | None:
    """One letter, open or ended; None where there is none."""
    row = await with_followers(connection, id)
    if row is None:
        return None
    headers = [(name, _header_shown(name, value)) for name, value in unpack(row.headers)]
    return ShownLetter(**{**row, "headers": headers})


def _header_shown(header: str, value: bytes | None) -> str | None:
    """A header's value where it is one of an event's attributes: nobody knows what others hold."""
    return value.decode(errors="replace")[:200] if value and header.startswith(("ce_", "content-type")) else None
