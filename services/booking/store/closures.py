"""SQL of closures: what each closes, and what became of the sessions that sat in it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.booking.chairs.calendar import Taken
from services.booking.rules.closures import Closure, ClosureRequested
from services.booking.rules.course import TimerKind
from shared.postgres.query import rows
from shared.postgres.values import Connection

CLOSURE: Final = ("closure_id", "location", "chair", "provider", "starts_at", "ends_at", "concerned")


def closure_request(row: Any) -> ClosureRequested:
    """What was asked for, from a row of `closures`."""
    return ClosureRequested.model_construct(
        closure_id=row.closure_id,
        location=row.location,
        chair=row.chair,
        provider=row.provider,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )


def closure_row(closure: Closure) -> dict[str, Any]:
    """A closure as its table has it."""
    return dict(closure.request) | {"concerned": [taken._asdict() for taken in closure.concerned]}


async def load_closures(connection: Connection, ids: Iterable[UUID]) -> Mapping[str, Closure]:
    """Closures that were asked for before, by their message's key."""
    found = await rows(
        connection,
        f"SELECT {', '.join(CLOSURE)} FROM closures WHERE closure_id = ANY(CAST(:ids AS uuid[]))",
        ids=list(ids),
    )
    return {(request := closure_request(row)).key: Closure(request, tuple(map(_taken, row.concerned))) for row in found}


def _taken(stored: Mapping[str, Any]) -> Taken:
    instants = {
        name: datetime.fromisoformat(stored[name]) if stored[name] else None
        for name in ("starts_at", "ends_at", "provider_from", "provider_until")
    }
    ids = {name: UUID(stored[name]) for name in ("session_id", "course_id")}
    return Taken(**{**stored, **instants, **ids})


async def closure_results(connection: Connection, closure_id: UUID) -> list[dict[str, Any]]:
    """What became of each session that a closure concerned, in order of time.

    `result`: `waiting` for its turn, `moved` to where it is now, `stays` since no other place was found, or `over`.
    """
    found = await rows(
        connection,
        """SELECT c.session_id, c.course_id, s.state, s.starts_at, s.ends_at, s.chair, s.provider,
                  c.starts_at AS previous_starts_at, c.chair AS previous_chair, c.provider AS previous_provider,
                  CASE WHEN t.subject IS NOT NULL THEN 'waiting'
                       WHEN s.state NOT IN ('held', 'confirmed', 'checked_in') THEN 'over'
                       WHEN (s.starts_at, s.chair, s.provider) <> (c.starts_at, c.chair, c.provider) THEN 'moved'
                       ELSE 'stays' END AS result
           FROM closures,
                json_to_recordset(concerned) AS c (session_id uuid, course_id uuid, starts_at timestamptz,
                                                   chair text, provider text)
                JOIN sessions s USING (course_id, session_id)
                LEFT JOIN timers t ON t.aggregate = CAST(c.course_id AS text) AND t.kind = :displaced
                     AND t.subject = CAST(c.session_id AS text)
           WHERE closure_id = :id ORDER BY c.starts_at, c.chair""",
        id=closure_id,
        displaced=TimerKind.DISPLACED,
    )
    return [dict(row) for row in found]
