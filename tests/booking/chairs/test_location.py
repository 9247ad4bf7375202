"""Places: opening hours and shifts are what the clock on the wall shows, also where clocks are changed."""

from dataclasses import replace
from datetime import date, datetime, time

import pytest

from services.booking.chairs.free_starts import first_seats
from services.booking.chairs.location import Room, Shift
from services.booking.chairs.seating import Seated, seat_course
from shared.configuration.clinic import WEEKDAYS
from shared.contract.booking import CourseAccepted
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import course_requested, plan_requested, requested_at
from tests.facts.course import DAY, HOUR, NOW, TEN, session_id
from tests.stand_ins.booking_places import ALWAYS, AUTUMN, PLACES, SPRING, STELLA, always_open
from tests.stand_ins.booking_story import Story, names
from tests.stand_ins.seats import calendar_of, planned, refusals


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_a_shift_is_told_by_the_clock_on_the_wall(night: date) -> None:
    shifts = {"provider-1": (Shift(days=WEEKDAYS, begins=time(9), ends=time(12)),)}
    place = replace(always_open(), room=Room(chairs=("c",), providers=("provider-1",), shifts=shifts))
    for day in (night - DAY, night, night + DAY):
        found = first_seats(calendar_of(), place, "ketamine_induction", day, 1, NOW, limit=99)
        shown = [f"{place.location.local(one.starts_at):%H:%M}" for one in found]
        assert (shown[0], shown[-1]) == ("09:00", "10:15")


def test_a_wish_is_one_instant_whatever_offset_it_is_written_in() -> None:
    wish = {"session_id": session_id(1), "starts_at": "2026-03-10T21:00:00+05:30"}
    story = Story()
    [event] = story.tell(course_requested(sessions=(wish,)))
    assert isinstance(event, CourseAccepted)
    [session] = event.sessions
    assert f"{STELLA.location.local(session.starts_at):%a %H:%M}" == "Tue 10:30"


def test_a_clinic_of_two_zones_opens_in_each_by_its_own_clock() -> None:
    eight = {"carbondale": "2026-03-10T13:00Z", "albany": "2026-03-10T12:00Z"}
    for here, at in eight.items():
        other = eight["albany" if here == "carbondale" else "carbondale"]
        story = Story()
        wish = {"session_id": session_id(1), "starts_at": at}
        assert names(story.tell(course_requested(location=here, sessions=(wish,)))) == ["course.accepted"]
        assert PLACES[here].location.local(story.session().starts_at).hour == 8
        too_early = min(at, other) == other
        wish = {"session_id": session_id(1), "starts_at": other}
        told = names(Story().tell(course_requested(location=here, sessions=(wish,))))
        assert told == (["course.rejected"] if too_early else ["course.accepted"])


@pytest.mark.parametrize(
    ("starts_at", "open_then"),
    [
        ("2026-03-10T08:00-05:00", True),
        ("2026-03-10T07:59-05:00", False),
        ("2026-03-10T17:15-05:00", True),
        ("2026-03-10T17:16-05:00", False),
        ("2026-03-14T10:00-05:00", False),
        ("2026-03-06T08:00-06:00", True),
        ("2026-03-09T08:00-05:00", True),
        ("2026-03-09T08:00-06:00", True),
        ("2026-03-06T07:00-06:00", False),
        ("2026-10-30T08:00-05:00", True),
        ("2026-11-02T08:00-06:00", True),
        ("2026-11-02T08:00-05:00", False),
    ],
)
def test_opening_hours_are_the_clocks_on_the_wall_also_after_it_was_changed(starts_at: str, open_then: bool) -> None:
    assert refusals(requested_at(datetime.fromisoformat(starts_at))) == ([] if open_then else [(0, Refusal.CLOSED)])


def test_nobody_is_seated_on_a_holiday() -> None:
    closed = replace(STELLA, location=STELLA.location.model_copy(update={"holidays": (date(2026, 3, 10),)}))
    assert refusals(requested_at(TEN, TEN + DAY), place=closed) == [(0, Refusal.CLOSED)]


def test_a_visit_does_not_reach_over_a_lunch_break() -> None:
    morning, afternoon = ALWAYS[0].model_copy(), ALWAYS[0].model_copy()
    morning = morning.model_copy(update={"closes": morning.opens.replace(hour=12)})
    afternoon = afternoon.model_copy(update={"opens": afternoon.opens.replace(hour=13)})
    place = replace(STELLA, location=STELLA.location.model_copy(update={"hours": (morning, afternoon)}))
    assert refusals(requested_at(TEN), place=place) == []
    assert refusals(requested_at(TEN + HOUR), place=place) == [(0, Refusal.CLOSED)]
    assert refusals(requested_at(TEN + 3 * HOUR), place=place) == []


def test_a_night_that_ends_on_another_day_is_closed() -> None:
    location = STELLA.location
    late = location.hours[0].model_copy(
        update={"opens": location.hours[0].opens.replace(hour=0), "closes": location.hours[0].closes.replace(hour=23)}
    )
    place = replace(STELLA, location=location.model_copy(update={"hours": (late,)}))
    assert refusals(requested_at(datetime.fromisoformat("2026-03-10T23:30-05:00")), place=place) == [
        (0, Refusal.CLOSED)
    ]


def test_a_provider_works_in_the_shift_only() -> None:
    shifts = {"provider-1": (Shift(days=WEEKDAYS[:5], begins=time(13), ends=time(17)),)}
    place = replace(STELLA, room=Room(chairs=("c",), providers=("provider-1",), shifts=shifts))
    found = planned(plan_requested(), place)
    assert len(found) == 6
    assert all(time(13) <= at.time() <= time(15, 15) for at in found)
    early = course_requested(1)
    refused = seat_course(calendar_of(), place, early, NOW)
    assert [conflict.code for conflict in refused if not isinstance(refused, Seated)] == [Refusal.PROVIDER_TAKEN]
