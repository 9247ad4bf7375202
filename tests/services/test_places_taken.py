"""The last word on double bookings is PostgreSQL's: its constraints refuse every overlap, and no neighbours."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

INSERT = """INSERT INTO sessions (course_id, session_id, number, state, starts_at, ends_at, location, chair, provider,
                                  patient_id, version, "grant", time_zone)
            VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, 1, 1, 'UTC')"""
MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def connection(databases: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(databases["booking"])
    yield connection
    await connection.close()


async def book(
    connection: asyncpg.Connection,
    starts_at: datetime,
    ends_at: datetime,
    where: str = "here",
    chair: str | None = None,
    provider: str | None = None,
    patient: str | None = None,
    state: str = "held",
) -> str | None:
    """The name of the constraint that refuses a session, or None; who is left out is nobody's before."""
    course, session, nobody = uuid4(), uuid4(), str(uuid4())
    try:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO courses (course_id, state, hold_open, waiting) VALUES ($1, 'awaited', false, '[]')", course
            )
            taken = (chair or nobody, provider or nobody, patient or nobody)
            await connection.execute(INSERT, course, session, state, starts_at, ends_at, where, *taken)
    except asyncpg.ExclusionViolationError as refusal:
        return refusal.constraint_name
    return None


@pytest.mark.parametrize(
    ("what", "constraint"),
    [
        ("chair", "one_patient_in_a_chair"),
        ("provider", "one_patient_for_a_provider"),
        ("patient", "one_place_for_a_patient"),
    ],
)
async def test_random_stretches_are_refused_exactly_where_they_overlap(
    connection: asyncpg.Connection, what: str, constraint: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    kept: dict[str, list[tuple[datetime, datetime]]] = {}
    refused = 0
    for _ in range(400):
        name = chance.choice(["first", "second", "third"])
        starts_at = MONDAY + timedelta(minutes=5 * chance.randrange(400))
        ends_at = starts_at + timedelta(minutes=5 * chance.randint(1, 12))
        overlaps = any(s < ends_at and starts_at < e for s, e in kept.setdefault(name, []))
        answer = await book(connection, starts_at, ends_at, **{what: name})
        assert answer == (constraint if overlaps else None), (name, starts_at, ends_at)
        refused += overlaps
        if not overlaps:
            kept[name].append((starts_at, ends_at))
    assert 50 < refused < 380


@pytest.mark.parametrize("year", [1971, 2026, 2200])
async def test_neighbours_may_touch_and_a_microsecond_is_an_overlap(connection: asyncpg.Connection, year: int) -> None:
    begins = MONDAY.replace(year=year)
    moment = timedelta(microseconds=1)
    assert await book(connection, begins, begins + HOUR, chair="c") is None
    assert await book(connection, begins + HOUR, begins + 2 * HOUR, chair="c") is None
    assert await book(connection, begins - HOUR, begins, chair="c") is None
    assert await book(connection, begins + 2 * HOUR - moment, begins + 3 * HOUR, chair="c") == "one_patient_in_a_chair"
    assert await book(connection, begins - 2 * HOUR, begins - HOUR + moment, chair="c") == "one_patient_in_a_chair"


async def test_the_same_chair_name_elsewhere_and_a_place_given_up_are_free(connection: asyncpg.Connection) -> None:
    end = MONDAY + HOUR
    for state in ("cancelled", "released", "missed", "completed"):
        assert await book(connection, MONDAY, end, chair="c", provider="p", patient="anna", state=state) is None
    assert await book(connection, MONDAY, end, chair="c", provider="p") is None
    assert await book(connection, MONDAY, end, where="there", chair="c", provider="p") is None
    assert await book(connection, MONDAY, end, patient="anna") is None
    assert await book(connection, MONDAY, end, where="there", patient="anna") == "one_place_for_a_patient"


async def test_a_confirmation_touches_no_index(connection: asyncpg.Connection) -> None:
    for chair in range(20):
        assert await book(connection, MONDAY, MONDAY + HOUR, chair=str(chair)) is None
    await connection.execute("UPDATE sessions SET state = 'confirmed', version = 2")
    counted = "SELECT pg_stat_force_next_flush(), n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
    await connection.fetch("SELECT pg_stat_force_next_flush()")
    [row] = await connection.fetch(f"{counted} WHERE relname = 'sessions'")
    assert (row["n_tup_upd"], row["n_tup_hot_upd"]) == (20, 20)
