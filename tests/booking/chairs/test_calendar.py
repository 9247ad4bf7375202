"""The calendar: no chair, provider or patient is in two places at once, and neighbours may touch."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.booking.chairs.calendar import FEW, Calendar, Closed, DayNotLoaded, Resource, Taken
from services.booking.chairs.location import Room
from services.booking.chairs.seating import Seat, Seated, Visitor, seat, seat_course
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import course_requested, requested_at
from tests.facts.course import DAY, HOUR, MINUTE, NOW, TEN, session_id
from tests.stand_ins.booking_places import ONE_CHAIR, PLACES, STELLA, room
from tests.stand_ins.booking_story import Story
from tests.stand_ins.seats import VISIT, calendar_of, refusals, taken


def test_one_person_is_not_at_two_clinics_at_once_whatever_their_zones() -> None:
    story = Story(room(4))
    story.tell(course_requested(1, patient_id="anna"))
    at = story.session().starts_at + HOUR
    wish = {"session_id": session_id(9), "starts_at": at}
    [event] = story.tell(
        course_requested(course=session_id(8), patient_id="anna", location="stabilization", sessions=(wish,))
    )
    assert [conflict["code"] for conflict in event.model_dump()["conflicts"]] == [Refusal.PATIENT_BUSY]


def test_neighbours_may_touch() -> None:
    assert refusals(requested_at(TEN), taken(TEN - VISIT), taken(TEN + VISIT), place=ONE_CHAIR) == []


@pytest.mark.parametrize("by", [-VISIT + MINUTE, -MINUTE, timedelta(), MINUTE, VISIT - MINUTE])
def test_a_minute_of_overlap_takes_the_chair(by: timedelta) -> None:
    assert refusals(requested_at(TEN), taken(TEN + by), place=ONE_CHAIR) == [(0, Refusal.CHAIR_TAKEN)]


def test_a_patient_is_busy_wherever_the_other_appointment_is() -> None:
    elsewhere = taken(TEN + HOUR, location="albany", patient="patient-1")
    assert refusals(requested_at(TEN), elsewhere) == [(0, Refusal.PATIENT_BUSY)]


def test_a_chair_of_the_same_name_at_another_location_is_another_chair() -> None:
    assert refusals(requested_at(TEN), taken(TEN, location="albany"), place=ONE_CHAIR) == []


SLOTS = st.lists(st.integers(0, 3 * 8), min_size=1, max_size=4, unique=True)


def slot(number: int) -> datetime:
    """Half hours from eight until noon, on three days in a row."""
    day, half_hour = divmod(number, 8)
    return datetime(2026, 3, 10, 13, tzinfo=UTC) + day * DAY + half_hour * timedelta(minutes=30)


@settings(max_examples=200, deadline=None)
@given(
    courses=st.lists(st.tuples(SLOTS, st.integers(1, 4), st.sampled_from(["stella", "carbondale"])), max_size=12),
    chairs=st.integers(1, 3),
    providers=st.integers(1, 3),
)
def test_no_chair_provider_or_patient_is_ever_booked_twice(
    courses: Sequence[tuple[list[int], int, str]], chairs: int, providers: int
) -> None:
    room = Room(chairs=tuple(f"c{n}" for n in range(chairs)), providers=tuple(f"p{n}" for n in range(providers)))
    calm = {"ketamine_induction": STELLA.protocols["ketamine_induction"].model_copy(update={"smallest_gap_hours": 0})}
    places = {name: replace(PLACES[name], room=room, protocols=calm) for name in ("stella", "carbondale")}
    calendar, booked = calendar_of(patients="1234"), list[Taken]()
    for number, (slots, patient, location) in enumerate(courses):
        request = requested_at(
            *(slot(n) for n in slots), course=UUID(int=number), patient_id=str(patient), location=location
        )
        seated = seat_course(calendar, places[location], request, NOW)
        if isinstance(seated, Seated):
            calendar = seated.calendar
            booked += seated.taken
            assert len(seated.taken) == len(slots)
        else:
            assert all(_really_taken(conflict.code, booked) for conflict in seated)
    for index, one in enumerate(booked):
        for two in booked[index + 1 :]:
            if one.starts_at < two.ends_at and two.starts_at < one.ends_at:
                assert not set(one.resources) & set(two.resources)


def _really_taken(code: Refusal, booked: list[Taken]) -> bool:
    return code is Refusal.PATIENT_BUSY or (code in (Refusal.CHAIR_TAKEN, Refusal.PROVIDER_TAKEN) and len(booked) > 0)


def test_what_is_freed_can_be_taken_again() -> None:
    other = taken(TEN)
    calendar = calendar_of(other)
    where = (ONE_CHAIR, Visitor.from_request(requested_at(TEN), ONE_CHAIR), TEN)
    assert seat(calendar, *where) is Refusal.CHAIR_TAKEN
    seated = seat(calendar.without(other.session_id), *where)
    assert isinstance(seated, Seat)
    assert seat(calendar, *where) is Refusal.CHAIR_TAKEN, "a calendar is a value"


SPAN = (TEN - HOUR, TEN + 12 * HOUR)
LOADED = Calendar.from_rows([taken(TEN, patient="anna")], {"stella": [SPAN], "anna": [SPAN], "": [SPAN]})
CHAIR, OTHER_CHAIR = ("stella", "chair", "chair-1"), ("stella", "chair", "chair-2")


@pytest.mark.parametrize(
    ("resource", "starts_at"),
    [
        (OTHER_CHAIR, TEN - 2 * HOUR),
        (OTHER_CHAIR, TEN + DAY),
        (OTHER_CHAIR, SPAN[1] - VISIT + MINUTE),
        (("stella", "provider", "provider-1"), TEN - DAY),
        (("albany", "chair", "chair-1"), TEN),
        (("anna",), TEN + DAY),
        (("ben",), TEN),
    ],
    ids=["hours before", "the next day", "the last minute", "the day before", "elsewhere", "later", "somebody else"],
)
def test_what_was_not_loaded_is_not_called_free(resource: Resource, starts_at: datetime) -> None:
    for calendar in (
        LOADED,
        LOADED.take(taken(TEN, chair="chair-2", provider="provider-2")),
        LOADED.without(taken(TEN, patient="anna").session_id),
        LOADED.close(Closed(CHAIR, TEN, TEN + HOUR)),
    ):
        with pytest.raises(DayNotLoaded):
            calendar.is_free(resource, starts_at, starts_at + VISIT)
    with pytest.raises(DayNotLoaded):
        Calendar().is_free(resource, starts_at, starts_at + VISIT)


def test_what_was_loaded_is_free_to_its_edges_or_taken() -> None:
    assert LOADED.is_free(OTHER_CHAIR, SPAN[0], SPAN[0] + VISIT)
    assert LOADED.is_free(OTHER_CHAIR, SPAN[1] - VISIT, SPAN[1])
    assert not LOADED.is_free(CHAIR, TEN, TEN + VISIT)
    assert not LOADED.is_free(("anna",), TEN, TEN + VISIT)
    assert LOADED.is_free(("",), TEN, TEN + VISIT), "nobody"


def test_a_calendar_that_has_changed_often_still_knows_what_it_was_loaded_for() -> None:
    calendar = LOADED
    for n in range(FEW):
        calendar = calendar.take(taken(TEN, chair=f"c{n}", provider=f"p{n}", patient=f"x{n}"))
    assert calendar.is_free(OTHER_CHAIR, TEN, TEN + VISIT)
    with pytest.raises(DayNotLoaded):
        calendar.is_free(OTHER_CHAIR, TEN + DAY, TEN + DAY + VISIT)


def test_between_two_days_that_were_loaded_lies_one_that_was_not() -> None:
    later = SPAN[0] + 2 * DAY, SPAN[1] + 2 * DAY
    calendar = Calendar.from_rows((), {"stella": [SPAN, later]})
    assert calendar.is_free(CHAIR, TEN, TEN + VISIT)
    assert calendar.is_free(CHAIR, TEN + 2 * DAY, TEN + 2 * DAY + VISIT)
    with pytest.raises(DayNotLoaded):
        calendar.is_free(CHAIR, TEN + DAY, TEN + DAY + VISIT)
