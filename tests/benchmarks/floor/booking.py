"""Booking by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.floor.road import Heard, Told, event_id, main
from tests.benchmarks.story import CHAIRS, SESSIONS

VISIT = timedelta(minutes=105)
HOLD = timedelta(hours=72)
CHAIR_NAMES = [f"chair-{n + 1}" for n in range(CHAIRS)]
PROVIDER_NAMES = [f"provider-{n + 1}" for n in range(CHAIRS)]
TIME_ZONE = "America/Chicago"


async def handle(connection: asyncpg.Connection, heard: list[Heard]) -> list[Told]:
    """Accept what is requested, confirm what is satisfied."""
    requested = [(id, data) for id, type_name, data in heard if type_name == "clinic.course.requested.v1"]
    satisfied = [(id, data) for id, type_name, data in heard if type_name == "billing.prepayment.satisfied.v1"]
    told: list[Told] = []
    if requested:
        told += await accept(connection, requested)
    if satisfied:
        told += await confirm(connection, satisfied)
    return told


async def accept(connection: asyncpg.Connection, requested: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    """Seat every session in the first chair and with the first provider that are free; here all are."""
    locations = sorted({data["location"] for _, data in requested})
    await connection.fetch(
        "SELECT pg_advisory_xact_lock(hashtextextended(l, 0)) FROM unnest($1::text[]) AS l", locations
    )
    days = {(d["location"], s["starts_at"][:10]) for _, d in requested for s in d["sessions"]}
    taken = await connection.fetch(
        """SELECT s.location, s.starts_at, s.chair, s.provider FROM unnest($1::text[], $2::timestamptz[]) AS w (l, d)
           JOIN sessions s ON s.location = w.l AND s.starts_at >= w.d AND s.starts_at < w.d + interval '1 day'
           AND s.occupies""",
        [location for location, _ in days],
        [datetime.fromisoformat(day).replace(tzinfo=UTC) for _, day in days],
    )
    chairs = {(row[0], row[1], row[2]) for row in taken}
    providers = {(row[0], row[1], row[3]) for row in taken}
    now = datetime.now(UTC)
    courses: list[tuple[Any, ...]] = []
    sessions: list[tuple[Any, ...]] = []
    told: list[Told] = []
    for id, data in requested:
        location, booked = data["location"], []
        course_id = UUID(data["course_id"])
        courses.append(
            (course_id, data["patient_id"], location, data["treatment"], data["package"], data["payer"], now + HOLD)
        )
        for number, wish in enumerate(data["sessions"], start=1):
            starts_at = datetime.fromisoformat(wish["starts_at"])
            chair = next(name for name in CHAIR_NAMES if (location, starts_at, name) not in chairs)
            provider = next(name for name in PROVIDER_NAMES if (location, starts_at, name) not in providers)
            chairs.add((location, starts_at, chair))
            providers.add((location, starts_at, provider))
            ends_at = starts_at + VISIT
            sessions.append(
                (
                    *(UUID(wish["session_id"]), course_id, number, starts_at, ends_at),
                    *(location, chair, provider, data["patient_id"]),
                )
            )
            booked.append(_booked(wish["session_id"], number, "held", starts_at, ends_at, chair, provider, 1))
        accepted = {
            "course_id": data["course_id"],
            "patient_id": data["patient_id"],
            "companions": [],
            "location": location,
            "treatment": data["treatment"],
            "payer": data["payer"],
            "package": data["package"],
            "hold_expires_at": now + HOLD,
            "sessions": booked,
        }
        told.append((event_id(id, 0), "booking.events", "booking.course.accepted.v1", data["course_id"], accepted))
    await connection.execute(
        """INSERT INTO courses SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                                                    $6::text[], $7::timestamptz[])""",
        *map(list, zip(*courses, strict=True)),
    )
    await connection.execute(
        """INSERT INTO sessions (session_id, course_id, number, state, starts_at, ends_at, location, chair, provider,
                                 patient_id, chair_time, provider_time, patient_time)
           SELECT id, course, number, 'held', s, e, l, c, p, patient,
                  box(point(hashtextextended(l || '/' || c, 0), extract(epoch FROM s) * 1000000),
                      point(hashtextextended(l || '/' || c, 0), extract(epoch FROM e) * 1000000 - 1)),
                  box(point(hashtextextended(l || '/' || p, 0), extract(epoch FROM s) * 1000000),
                      point(hashtextextended(l || '/' || p, 0), extract(epoch FROM e) * 1000000 - 1)),
                  box(point(hashtextextended(patient, 0), extract(epoch FROM s) * 1000000),
                      point(hashtextextended(patient, 0), extract(epoch FROM e) * 1000000 - 1))
           FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::text[],
                       $7::text[], $8::text[], $9::text[]) AS n (id, course, number, s, e, l, c, p, patient)""",
        *map(list, zip(*sessions, strict=True)),
    )
    return told


async def confirm(connection: asyncpg.Connection, satisfied: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    """Confirm what is held, and end the hold."""
    causes = {UUID(data["session_id"]): id for id, data in satisfied}
    rows = await connection.fetch(
        """UPDATE sessions s SET state = 'confirmed', "grant" = w.g, version = version + 1
           FROM unnest($1::uuid[], $2::int[]) AS w (id, g), courses c
           WHERE s.session_id = w.id AND s.state = 'held' AND c.course_id = s.course_id
           RETURNING s.session_id, s.course_id, number, starts_at, ends_at, chair, provider, version, "grant",
                     c.patient_id, c.location, c.treatment""",
        [UUID(data["session_id"]) for _, data in satisfied],
        [data["grant"] for _, data in satisfied],
    )
    await connection.execute(
        """UPDATE courses SET hold_expires_at = NULL
           WHERE course_id = ANY($1::uuid[]) AND hold_expires_at IS NOT NULL""",
        list({row["course_id"] for row in rows}),
    )
    told: list[Told] = []
    for row in rows:
        session = _booked(row[0], row[2], "confirmed", row[3], row[4], row[5], row[6], row[7])
        session |= {"course_id": str(row[1]), "patient_id": row[9], "companions": [], "location": row[10]}
        session |= {"treatment": row[11], "grant": row[8]}
        id = event_id(causes[row[0]], 0)
        told.append((id, "booking.events", "booking.session.confirmed.v1", str(row[1]), session))
    return told


def _booked(
    id: Any, number: int, state: str, starts_at: datetime, ends_at: datetime, chair: str, provider: str, version: int
) -> dict[str, Any]:
    return {
        "session_id": str(id),
        "number": number,
        "of": SESSIONS,
        "state": state,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "time_zone": TIME_ZONE,
        "chair": chair,
        "provider": provider,
        "version": version,
    }


if __name__ == "__main__":
    heard = {
        "clinic.requests": {b"clinic.course.requested.v1"},
        "billing.events": {b"billing.prepayment.satisfied.v1"},
    }
    main("booking", heard, handle)
