"""SQL of the links for calendar apps: which sessions a link shows. Its token is kept as a digest alone."""

import hashlib
from datetime import datetime
from typing import Any

from shared.postgres.query import rows
from shared.postgres.values import Connection


async def _of_token(connection: Connection, token: str, first: datetime, last: datetime) -> Any:
    """The location that a token opens, with its sessions; one row without a session where it has none."""
    return await rows(
        connection,
        """SELECT f.location, s.session_id, s.state, s.starts_at, s.ends_at, s.chair, s.version
           FROM calendar_feeds f LEFT JOIN sessions s
                ON s.location = f.location AND s.starts_at >= :first AND s.starts_at < :last
                AND (s.occupies OR s.state = 'completed')
           WHERE f.token_sha256 = :digest ORDER BY s.starts_at, s.chair""",
        digest=_digest(token),
        first=first,
        last=last,
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
