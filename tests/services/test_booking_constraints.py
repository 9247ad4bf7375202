"""The last word on a double booking is the database's, whatever a rule decides."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from asyncpg import IntegrityConstraintViolationError

from tests.booking_story import COURSE, requested, start
from tests.road import Road, road

VISIT = timedelta(minutes=105)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
async def booking(databases: dict[str, str]) -> AsyncIterator[Road]:
    """A course at Stella, in chair 1 with provider 1, whose one session starts at `start(1)`."""
    async with road(databases["booking"]) as on:
        await on.hear(requested(1, patient_id="anna"))
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
