"""The last word on double bookings is PostgreSQL's: its constraints refuse every overlap, and no neighbours."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from asyncpg import IntegrityConstraintViolationError

from tests.facts.clinic import course_requested
from tests.facts.course import COURSE, HOUR, start
from tests.stand_ins.road import Road, road

VISIT = timedelta(minutes=105)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    """A course at Stella, in chair 1 with provider 1, whose one session starts at `start(1)`."""
    async with road(databases["booking"]) as on:
        await on.hear(course_requested(1, patient_id="anna"))
        yield on


async def insert(booking: Road, by: timedelta, state: str = "held", **told: object) -> list[UUID]:
    """A second session of the course, so much later than the first, which shares nothing with it but what is told."""
    fields = {"location": "stella", "chair": "c", "provider": "p", "patient_id": "x"} | told
    return await booking.values(
        """INSERT INTO sessions (session_id, course_id, number, state, starts_at, ends_at, location, chair, provider,
                                 patient_id, version, "grant", time_zone)
           VALUES (:id, :course, 2, :state, :starts_at, :ends_at, :location, :chair, :provider,
                   :patient_id, 1, 0, 'UTC')
           RETURNING session_id""",
        id=uuid4(),
        course=COURSE,
        state=state,
        starts_at=start(1) + by,
        ends_at=start(1) + by + VISIT,
        **fields,
    )


SHARED = [
    ("one_patient_in_a_chair", {"chair": "chair-1"}),
    ("one_patient_for_a_provider", {"provider": "provider-1"}),
    ("one_place_for_a_patient", {"patient_id": "anna", "location": "albany"}),
]


@pytest.mark.parametrize(("constraint", "shared"), SHARED)
@pytest.mark.parametrize("by", [-VISIT + MICROSECOND, timedelta(), VISIT - MICROSECOND])
async def test_a_microsecond_of_overlap_is_refused(
    booking: Road, constraint: str, shared: dict[str, str], by: timedelta
) -> None:
    with pytest.raises(IntegrityConstraintViolationError, match=constraint):
        await insert(booking, by, **shared)


@pytest.mark.parametrize(("constraint", "shared"), SHARED)
@pytest.mark.parametrize("by", [-VISIT, VISIT])
async def test_neighbours_may_touch(booking: Road, constraint: str, shared: dict[str, str], by: timedelta) -> None:
    assert await insert(booking, by, **shared)


@pytest.mark.parametrize("state", ["released", "cancelled", "missed", "completed"])
async def test_who_has_no_place_any_more_takes_none(booking: Road, state: str) -> None:
    assert await insert(booking, timedelta(), state, chair="chair-1", provider="provider-1", patient_id="anna")


async def test_a_chair_of_the_same_name_elsewhere_is_another_chair(booking: Road) -> None:
    assert await insert(booking, timedelta(), location="albany", chair="chair-1", provider="provider-1")


@pytest.mark.parametrize("state", ["confirmed", "checked_in"])
async def test_nobody_is_confirmed_without_a_grant(booking: Road, state: str) -> None:
    with pytest.raises(IntegrityConstraintViolationError, match="check constraint"):
        await insert(booking, timedelta(days=1), state)


async def insert_visit(booking: Road, at: timedelta, share: tuple[timedelta, timedelta] | None, number: int) -> None:
    begins = start(3) + at
    await booking.rows(
        """INSERT INTO sessions (session_id, course_id, number, state, starts_at, ends_at, time_zone, location, chair,
                                 provider, patient_id, version, "grant", provider_from, provider_until)
           VALUES (gen_random_uuid(), :course, :number, 'held', :begins, :ends, 'UTC', 'stella', :chair,
                   'provider-1', :chair, 1, 0, :from, :until)
           RETURNING session_id""",
        course=COURSE,
        number=number,
        begins=begins,
        ends=begins + 2 * HOUR,
        chair=f"chair-{number}",
        **{
            "from": begins + share[0] if share else None,
            "until": begins + share[1] if share else None,
        },
    )


async def test_two_visits_may_share_a_provider_who_stays_for_a_part_and_no_longer(booking: Road) -> None:
    quarter = HOUR / 4
    await insert_visit(booking, timedelta(), (quarter, HOUR), 11)
    await insert_visit(booking, 3 * quarter, (quarter, HOUR), 12)
    with pytest.raises(IntegrityConstraintViolationError, match="one_patient_for_a_provider"):
        await insert_visit(booking, 3 * quarter, None, 13)
    with pytest.raises(IntegrityConstraintViolationError, match="check constraint"):
        await insert_visit(booking, 5 * HOUR, (quarter, 3 * HOUR), 14)


INSERT = """INSERT INTO sessions (course_id, session_id, number, state, starts_at, ends_at, location, chair, provider,
                                  patient_id, version, "grant", time_zone)
            VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, 1, 1, 'UTC')"""
MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)


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
