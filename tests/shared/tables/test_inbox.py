"""One effect a message, however often and however written it comes; another payload is not the same."""

import pytest

from shared.contract.clinic import CourseRequested
from shared.contract.register import EVENTS
from tests.facts.billing import prepayment_satisfied
from tests.facts.clinic import course_requested
from tests.facts.course import COURSE
from tests.stand_ins.road import record, road


async def test_a_repeat_in_the_same_batch_or_later_has_no_effect(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(
            record(course_requested(), "a"), record(prepayment_satisfied(), "b"), record(prepayment_satisfied(), "b")
        )
        await booking.hear(record(prepayment_satisfied(), "b"), record(course_requested(), "a"))
        assert await booking.types() == ["course.accepted", "session.confirmed"]
        assert await booking.values("SELECT id FROM inbox ORDER BY id") == ["a", "b"]
        assert await booking.rows("SELECT * FROM attention") == []


async def test_a_repeat_is_one_however_its_json_is_written(databases: dict[str, str]) -> None:
    async with road(databases["booking"]) as booking:
        first = record(course_requested(), "a")
        assert first.value is not None
        await booking.hear(first)
        await booking.hear(first._replace(value=first.value.replace(b'":', b'" :  ').replace(b"{", b'{"new": 1, ')))
        assert await booking.rows("SELECT * FROM attention") == []


class GrownCourseRequested(CourseRequested):
    """The type after a release that gave it an optional field."""

    note: str | None = None


async def test_a_repeat_is_one_although_its_type_has_grown_in_between(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(record(course_requested(), "a"))
        monkeypatch.setitem(EVENTS, CourseRequested.type, GrownCourseRequested)
        await booking.hear(record(course_requested(), "a"))
        assert await booking.rows("SELECT * FROM attention") == []


@pytest.mark.parametrize("together", [True, False])
async def test_an_id_that_comes_again_with_another_payload_is_not_applied_and_goes_to_a_person(
    databases: dict[str, str], together: bool
) -> None:
    async with road(databases["booking"]) as booking:
        await booking.hear(course_requested())
        one, two = record(prepayment_satisfied(1), "a"), record(prepayment_satisfied(2), "a")
        if together:
            await booking.hear(one, two)
        else:
            await booking.hear(one)
            await booking.hear(two)
        assert await booking.types() == ["course.accepted", "session.confirmed"]
        assert await booking.values("SELECT state FROM sessions ORDER BY number") == ["confirmed", "held"]
        [row] = await booking.rows("SELECT kind, aggregate, subject FROM attention")
        assert row == {"kind": "payload_conflict", "aggregate": str(COURSE), "subject": "a"}
