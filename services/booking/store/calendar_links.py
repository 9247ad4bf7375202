"""SQL of the links that open a location's calendar. Of a link's token only the digest is kept."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.postgres.query import rows, run
from shared.postgres.values import Connection


async def issue_link(connection: Connection, location: str, token: str, by: str, now: datetime) -> None:
    """Let a token open a location's calendar; the one before it opens nothing any more."""
    await run(
        connection,
        """INSERT INTO calendar_feeds (location, token_sha256, issued_by, issued_at)
           VALUES (:location, :digest, :by, :now)
           ON CONFLICT (location) DO UPDATE SET token_sha256 = excluded.token_sha256,
               issued_by = excluded.issued_by, issued_at = excluded.issued_at""",
        location=location,
        digest=_digest(token),
        by=by,
        now=now,
    )


async def revoke_link(connection: Connection, location: str) -> None:
    """Let no token open a location's calendar."""
    await run(connection, "DELETE FROM calendar_feeds WHERE location = :location", location=location)


async def sessions_of_link(connection: Connection, token: str, first: datetime, last: datetime) -> Sequence[Any]:
    """The location that a token opens, with its sessions that start from `first` until before `last`.

    Returns:
        Rows with location, session_id, state, starts_at, ends_at, chair and version, in order of time; one row without
        a session where the location has none, and no row where the token opens nothing.
    """
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
