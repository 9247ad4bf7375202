"""What is taken and what is closed, as the tables have it: the calendar of a batch, and closures with their results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final
from uuid import UUID

from services.booking.closures import Closure, closed_by
from services.booking.occupancy import Calendar, Taken
from services.booking.places import DAY
from services.booking.profile import Place
from services.booking.sought import Sought
from shared.contract import ClosureRequested
from shared.database import Connection, rows

CLOSURE: Final = ("closure_id", "location", "chair", "provider", "starts_at", "ends_at", "concerned")
TAKEN: Final = ", ".join(Taken._fields)


async def lock_and_read(connection: Connection, seen: Sequence[Sought], named: Sequence[UUID]) -> Calendar:
    """What is taken where a batch looks for places. One batch at a time looks at a location.

    Args:
        named: session ids that are asked for, which may belong to a course already.
    """
    await rows(
        connection,
        "SELECT pg_advisory_xact_lock(hashtextextended(l, 0)) FROM unnest(CAST(:locations AS text[])) AS l",
        locations=sorted({one.place.name for one in seen}),
    )
    return await _read(connection, seen, named)


async def occupancy(connection: Connection, place: Place, first_day: date, days: int, patient_id: str = "") -> Calendar:
    """What is taken at a place and by a patient on so many days by the place's clock; nothing is locked."""
    return await _read(connection, [Sought(place, first_day + n * DAY, patient_id) for n in range(days)], ())


async def _read(connection: Connection, seen: Sequence[Sought], named: Sequence[UUID]) -> Calendar:
    stretches = list(_stretches(seen))
    first, last = min(first for _, first, _ in stretches), max(last for _, _, last in stretches)
    locations = [location for location, _, _ in stretches]
    others = await rows(
        connection,
        """SELECT session_id AS known, NULL::uuid AS closure_id, NULL AS location, NULL AS chair, NULL AS provider,
                  NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at
           FROM sessions WHERE session_id = ANY(CAST(:ids AS uuid[]))
           UNION ALL
           SELECT NULL, closure_id, location, chair, provider, starts_at, ends_at FROM closures
           WHERE location = ANY(CAST(:locations AS text[])) AND ends_at > :first AND starts_at < :last""",
        ids=list(named),
        locations=locations,
        first=first,
        last=last,
    )
    taken = await rows(  # a session ends on the day on which it begins, by the clock of its place
        connection,
        f"""SELECT {TAKEN} FROM sessions
            JOIN unnest(CAST(:locations AS text[]), CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]))
                 AS w (place, first, last) ON location = place AND starts_at >= w.first AND starts_at < w.last
            WHERE occupies
            UNION
            SELECT {TAKEN} FROM sessions JOIN unnest(CAST(:patients AS text[])) AS person
                 ON patient_taken && taken(person, :first, :last)
            WHERE occupies""",
        locations=locations,
        firsts=[first for _, first, _ in stretches],
        lasts=[last for _, _, last in stretches],
        patients=sorted({one.patient_id for one in seen} - {""}),
        first=first,
        last=last,
    )
    closed = (closed_by(_request(row)) for row in others if row.closure_id is not None)
    return Calendar.of((Taken(*row) for row in taken), (row.known for row in others if row.known is not None), closed)


def _stretches(seen: Iterable[Sought]) -> Iterator[tuple[str, datetime, datetime]]:
    """Days that follow one another, as one stretch of a location."""
    places = {one.place.name: one.place for one in seen}
    for name, place in places.items():
        zone = place.location.tz
        days = sorted({one.day for one in seen if one.place is place})
        begins = days[0]
        for day, following in zip(days, [*days[1:], None], strict=True):
            if following != day + DAY:
                yield name, datetime.combine(begins, time(), zone), datetime.combine(day + DAY, time(), zone)
                begins = following or begins


# Closures -------------------------------------------------------------------------------------------------------------


def _request(row: Any) -> ClosureRequested:
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
    return {(request := _request(row)).key: Closure(request, tuple(map(_taken, row.concerned))) for row in found}


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
                LEFT JOIN timers t ON t.aggregate = CAST(c.course_id AS text) AND t.kind = 'displaced'
                     AND t.subject = CAST(c.session_id AS text)
           WHERE closure_id = :id ORDER BY c.starts_at, c.chair""",
        id=closure_id,
    )
    return [dict(row) for row in found]
