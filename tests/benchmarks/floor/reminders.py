"""Reminders by hand."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import asyncpg

from tests.benchmarks.floor.road import Heard, Told, main

LADDER = (
    ("preparation", timedelta(hours=72), timedelta(hours=26)),
    ("day_before", timedelta(hours=24), timedelta(hours=4)),
    ("day_of", timedelta(hours=2), timedelta(minutes=30)),
)
OPENS, CLOSES, LATEST = time(9), time(20), time(19, 45)


async def handle(connection: asyncpg.Connection, heard: list[Heard]) -> list[Told]:
    """Know the sessions, who owes, and put three texts a confirmed session on the ladder."""
    accepted = [data for _, name, data in heard if name == "booking.course.accepted.v1"]
    confirmed = [data for _, name, data in heard if name == "booking.session.confirmed.v1"]
    courses = [(UUID(d["course_id"]), d["patient_id"], d["location"], d["sessions"][0]["time_zone"]) for d in accepted]
    if courses:
        await connection.execute(
            "INSERT INTO courses SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])",
            *map(list, zip(*courses, strict=True)),
        )
    sessions = {
        s["session_id"]: (UUID(s["session_id"]), UUID(d["course_id"]), s["version"], s["state"], s["starts_at"])
        for d in accepted
        for s in d["sessions"]
    }
    for data in confirmed:
        id = data["session_id"]
        sessions[id] = (UUID(id), UUID(data["course_id"]), data["version"], data["state"], data["starts_at"])
    if sessions:
        ids, course_ids, versions, states, starts = zip(*sessions.values(), strict=True)
        await connection.execute(
            """INSERT INTO sessions (session_id, course_id, version, state, starts_at)
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::timestamptz[])
               ON CONFLICT (session_id) DO UPDATE
               SET version = excluded.version, state = excluded.state, starts_at = excluded.starts_at
               WHERE sessions.version < excluded.version""",
            ids,
            course_ids,
            versions,
            states,
            [datetime.fromisoformat(start) for start in starts],
        )
    owed: dict[UUID, bool] = {}
    for _, name, data in heard:
        if name.startswith("billing."):
            owed[UUID(data["session_id"])] = name == "billing.prepayment.required.v1"
    if owed:
        await connection.execute(
            """UPDATE sessions SET owed = w.o FROM unnest($1::uuid[], $2::bool[]) AS w (id, o)
               WHERE session_id = w.id""",
            list(owed),
            list(owed.values()),
        )
    if confirmed:
        await plan(connection, confirmed)
    return []


async def plan(connection: asyncpg.Connection, confirmed: list[dict[str, Any]]) -> None:
    """Write the texts down."""
    texts: list[tuple[Any, ...]] = []
    for data in confirmed:
        session_id, starts_at = UUID(data["session_id"]), datetime.fromisoformat(data["starts_at"])
        for kind, before, until in LADDER:
            nominal_at, deadline_at = starts_at - before, starts_at - until
            due_at = fit(data["time_zone"], nominal_at, deadline_at)
            texts.append(
                (
                    *(uuid5(session_id, f"{data['version']}/{kind}"), UUID(data["course_id"]), session_id),
                    *(data["patient_id"], kind, data["version"], nominal_at, due_at, deadline_at),
                )
            )
    await connection.execute(
        """INSERT INTO texts (text_id, course_id, session_id, contact_id, kind, version, nominal_at, due_at,
                              deadline_at)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[],
                                $7::timestamptz[], $8::timestamptz[], $9::timestamptz[]) ON CONFLICT DO NOTHING""",
        *map(list, zip(*texts, strict=True)),
    )


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def fit(zone_name: str, nominal_at: datetime, deadline_at: datetime) -> datetime:
    """Out of quiet hours: later where that is still useful, else the evening before."""
    zone = _zone(zone_name)
    local = nominal_at.astimezone(zone)
    if OPENS <= local.time() < CLOSES:
        return nominal_at
    day = local.date() if local.time() < OPENS else local.date() + timedelta(days=1)
    later = datetime.combine(day, OPENS, zone).astimezone(UTC)
    if later < deadline_at:
        return later
    return datetime.combine(day - timedelta(days=1), LATEST, zone).astimezone(UTC)


if __name__ == "__main__":
    heard = {
        "booking.events": {b"booking.course.accepted.v1", b"booking.session.confirmed.v1"},
        "billing.events": {b"billing.prepayment.required.v1", b"billing.prepayment.satisfied.v1"},
    }
    main("reminders", heard, handle)
