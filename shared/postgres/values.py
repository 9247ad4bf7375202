"""What PostgreSQL is given: a connection's type, and values as JSON."""

from typing import Any, TypeAlias
from uuid import UUID

import orjson

Connection: TypeAlias = Any
"""One of asyncpg's connections, in a transaction or in autocommit."""


def to_json(value: Any) -> bytes:
    """JSON for `Writes`, of plain values, dataclasses, instants and ids."""
    return orjson.dumps(value, default=_id)


def _id(value: object) -> str:
    if isinstance(value, UUID):  # the driver's are a class of their own
        return str(value)
    raise TypeError(f"{type(value).__name__} is no value of a column")
