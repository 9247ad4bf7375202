"""SQL of how chairs are used: who is held and has not paid, what is taken of some days, what is closed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.contract.closed_sets import SessionState
from shared.postgres.query import rows
from shared.postgres.values import Connection


class Window(NamedTuple):
    """Some days of one location, by its own clock. `days` is what the stretch is called."""

    location: str
    days: str
    first: datetime
    last: datetime


async def held_sessions(
    connection: Connection, locations: Sequence[str], first: datetime, last: datetime
) -> Sequence[Any]:
    """Sessions that are held and start from `first` until before `last`.

    Returns:
        Rows with location, starts_at, and whether an insurer is waited for.
    """
    return await rows(
        connection,
        """SELECT location, starts_at,
                  EXISTS (SELECT FROM awaiting_authorization a WHERE a.session_id = s.session_id) AS insurer
           FROM sessions s
           WHERE location = ANY(CAST(:locations AS text[])) AND state = 'held'
                 AND starts_at >= :first AND starts_at < :last""",
        locations=locations,
        first=first,
        last=last,
    )


async def taken_minutes(
    connection: Connection, windows: Sequence[Window], states: Sequence[SessionState]
) -> Sequence[Any]:
    """How long the sessions in these states are that start in each window.

    Returns:
        Rows with location, days, state and minutes.
    """
    return await rows(
        connection,
        """SELECT location, days, state, sum(extract(epoch FROM ends_at - starts_at)) / 60 AS minutes
           FROM unnest(CAST(:places AS text[]), CAST(:days AS text[]),
                       CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[])) AS w (place, days, first, last)
                JOIN sessions ON location = place AND starts_at >= first AND starts_at < last
           WHERE state = ANY(CAST(:states AS text[])) GROUP BY location, days, state""",
        places=[window.location for window in windows],
        days=[window.days for window in windows],
        firsts=[window.first for window in windows],
        lasts=[window.last for window in windows],
        states=states,
    )


async def chair_closures(
    connection: Connection, locations: Sequence[str], first: datetime, last: datetime
) -> Sequence[Any]:
    """Closures of places and of chairs, not of providers, that touch the stretch.

    Returns:
        Rows with location, chair (null: the whole place), starts_at and ends_at.
    """
    return await rows(
        connection,
        """SELECT location, chair, starts_at, ends_at FROM closures
           WHERE location = ANY(CAST(:locations AS text[])) AND provider IS NULL
                 AND ends_at > :first AND starts_at < :last""",
        locations=locations,
        first=first,
        last=last,
    )
