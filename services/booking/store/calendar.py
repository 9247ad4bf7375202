"""SQL of the calendar: what is taken and what is closed on the days that somebody looks at."""

from collections.abc import Sequence
from datetime import date
from typing import Final
from uuid import UUID

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.free_starts import DAY
from services.booking.chairs.location import ChairPlan
from services.booking.rules.closures import closed_by
from services.booking.rules.days_needed import Sought, stretches
from services.booking.store.closures import closure_request
from shared.postgres.query import rows
from shared.postgres.values import Connection

TAKEN: Final = ", ".join(Taken._fields)


async def lock_and_read(connection: Connection, seen: Sequence[Sought], named: Sequence[UUID]) -> Calendar:
    """What is taken on the days that a batch looks at, whose locations stay locked until its transaction ends.

    Args:
        named: session ids that are asked for, which may belong to a course already.
    """
    await rows(
        connection,
        "SELECT pg_advisory_xact_lock(hashtextextended(l, 0)) FROM unnest(CAST(:locations AS text[])) AS l",
        locations=sorted({one.place.name for one in seen}),
    )
    return await _read(connection, seen, named)


async def occupancy(
    connection: Connection, place: ChairPlan, first_day: date, days: int, patient_id: str = ""
) -> Calendar:
    """What is taken at a location and by a patient on so many days by its clock; nothing is locked."""
    return await _read(connection, [Sought(place, first_day + n * DAY, patient_id) for n in range(days)], ())


async def _read(connection: Connection, seen: Sequence[Sought], named: Sequence[UUID]) -> Calendar:
    loaded = stretches(seen)
    spans = [(location, *span) for location, stretch in loaded.items() for span in stretch]
    first, last = min(first for _, first, _ in spans), max(last for _, _, last in spans)
    locations = [location for location, _, _ in spans]
    patients = {one.patient_id for one in seen}
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
        firsts=[first for _, first, _ in spans],
        lasts=[last for _, _, last in spans],
        patients=sorted(patients - {""}),
        first=first,
        last=last,
    )
    return Calendar.from_rows(
        (Taken(*row) for row in taken),
        loaded | {patient: [(first, last)] for patient in (*patients, "")},  # of nobody all is known
        named=(row.known for row in others if row.known is not None),
        closed=(closed_by(closure_request(row)) for row in others if row.closure_id is not None),
    )
