"""Time: what the clock on the wall shows decides, also in the nights in which it is changed, and where a patient lives
in another zone.
"""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.chairs.free_starts import first_places, grid
from services.booking.chairs.location import Place, Room, Shift
from services.booking.chairs.seating import Seats, seat_course
from services.booking.chairs.series import plan_course
from shared.configuration.clinic import WEEKDAYS, Opening
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import CoursePlan
from shared.contract.closed_sets import Refusal
from tests.booking_story import HOUR, NOW, PLACES, STELLA, Story, names, requested, room, session_id

DAY = timedelta(days=1)
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
"""The Sundays on which American clocks are changed, at two in the morning."""


def always_open(opens: time = time(0), closes: time = time(23, 45), **protocol: object) -> Place:
    """Stella, but at any hour of any day; its infusion with other data where told."""
    location = STELLA.location.model_copy(update={"hours": (Opening(days=WEEKDAYS, opens=opens, closes=closes),)})
    changed = STELLA.protocols["ketamine_induction"].model_copy(update=protocol)
    return replace(STELLA, location=location, protocols={"ketamine_induction": changed})


def wishes(place: Place, *walls: str) -> tuple[dict[str, object], ...]:
    """Wishes at times of the clock on the wall."""
    return tuple(
        {"session_id": session_id(n), "starts_at": datetime.fromisoformat(wall).replace(tzinfo=place.location.tz)}
        for n, wall in enumerate(walls, start=1)
    )


def codes(place: Place, *walls: str) -> list[Refusal]:
    found = seat_course(Calendar(), place, requested(sessions=wishes(place, *walls)), NOW)
    return [] if isinstance(found, Seats) else [conflict.code for conflict in found]


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ("2026-03-07 10:00", "2026-03-08 10:00", []),  # 23 hours, but the same hour of the next day
        ("2026-03-07 10:00", "2026-03-08 09:45", [Refusal.TOO_CLOSE]),
        ("2026-10-31 10:00", "2026-11-01 10:00", []),
        ("2026-10-31 10:00", "2026-11-01 09:45", [Refusal.TOO_CLOSE]),  # 24 hours and 45 minutes, but not a day
    ],
)
def test_a_day_between_sessions_is_a_day_on_the_wall_in_both_nights(
    first: str, second: str, wrong: list[Refusal]
) -> None:
    assert codes(always_open(), first, second) == wrong


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_a_daily_series_keeps_its_hour_over_the_night(night: date) -> None:
    place = always_open(opens=time(10), closes=time(12), usual_gap_hours=24, smallest_gap_hours=24)
    plan = CoursePlan(first_day=night - DAY, count=3)
    found = plan_course(Calendar(), place, requested(sessions=None, plan=plan), plan, NOW)
    assert isinstance(found, tuple)
    walls = [place.location.local(one.starts_at) for one in found]
    assert [wall.date() for wall in walls] == [night - DAY, night, night + DAY]
    assert {wall.time() for wall in walls} == {time(10)}


def test_the_hour_that_spring_leaves_out_is_not_proposed() -> None:
    place = always_open()
    shown = [place.location.local(at) for at in grid(place.location, SPRING)]
    assert [f"{at:%H:%M}" for at in shown[6:10]] == ["01:30", "01:45", "03:00", "03:15"]
    assert len(shown) == 4 * 23 - 1
    assert len(set(shown)) == len(shown)


def test_the_hour_that_autumn_has_twice_is_proposed_once() -> None:
    place = always_open()
    shown = [place.location.local(at) for at in grid(place.location, AUTUMN)]
    assert [f"{at:%H:%M %Z}" for at in shown[4:9]] == ["01:00 CDT", "01:15 CDT", "01:30 CDT", "01:45 CDT", "02:00 CST"]
    assert len(shown) == 4 * 24 - 1


@pytest.mark.parametrize(("night", "ends"), [(SPRING, "04:15"), (AUTUMN, "02:15")])
def test_a_visit_over_the_change_lasts_as_long_as_any_other(night: date, ends: str) -> None:
    place = always_open()
    found = seat_course(Calendar(), place, requested(sessions=wishes(place, f"{night} 01:30")), NOW)
    assert isinstance(found, Seats)
    [seat] = found.taken
    assert seat.ends_at - seat.starts_at == timedelta(minutes=105)
    assert f"{place.location.local(seat.ends_at):%H:%M}" == ends


@pytest.mark.parametrize(("night", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_the_day_of_the_change_is_filled_to_its_last_minute_and_not_beyond(night: date, hours: int) -> None:
    """In spring a visit of two hours before two ends at five; the place closes at half past four."""
    place = always_open(closes=time(4, 30))
    found = first_places(Calendar(), place, "ketamine_induction", night, 1, NOW, limit=99, minutes=120)
    latest = place.location.local(found[-1].ends_at)
    assert f"{latest:%H:%M}" == "04:30"
    assert len({one.starts_at for one in found}) == len(found)
    midnight = datetime.combine(night, time(), place.location.tz)
    next_day = datetime.combine(night + DAY, time(), place.location.tz)
    assert next_day.astimezone(NOW.tzinfo) - midnight.astimezone(NOW.tzinfo) == hours * HOUR


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_a_shift_is_told_by_the_clock_on_the_wall(night: date) -> None:
    shifts = {"provider-1": (Shift(days=WEEKDAYS, begins=time(9), ends=time(12)),)}
    place = replace(always_open(), room=Room(chairs=("c",), providers=("provider-1",), shifts=shifts))
    for day in (night - DAY, night, night + DAY):
        found = first_places(Calendar(), place, "ketamine_induction", day, 1, NOW, limit=99)
        shown = [f"{place.location.local(one.starts_at):%H:%M}" for one in found]
        assert (shown[0], shown[-1]) == ("09:00", "10:15")


def test_a_plan_is_in_the_hours_of_the_clinic_and_not_of_the_patient() -> None:
    """Eight to ten in Los Angeles is eleven to one where a patient of New York lives."""
    plan = CoursePlan(first_day=date(2026, 3, 9), earliest="08:00", latest="10:00")
    story = Story()
    [event] = story.tell(requested(sessions=None, plan=plan, location="stabilization"))
    assert isinstance(event, CourseAccepted)
    assert {s.time_zone for s in event.sessions} == {"America/Los_Angeles"}
    for session in event.sessions:
        assert 8 <= session.starts_at.astimezone(ZoneInfo("America/Los_Angeles")).hour <= 10
        assert 11 <= session.starts_at.astimezone(ZoneInfo("America/New_York")).hour <= 13


def test_a_wish_is_one_instant_whatever_offset_it_is_written_in() -> None:
    wish = {"session_id": session_id(1), "starts_at": "2026-03-10T21:00:00+05:30"}
    story = Story()
    [event] = story.tell(requested(sessions=(wish,)))
    assert isinstance(event, CourseAccepted)
    [session] = event.sessions
    assert f"{STELLA.location.local(session.starts_at):%a %H:%M}" == "Tue 10:30"


def test_a_clinic_of_two_zones_opens_in_each_by_its_own_clock() -> None:
    eight = {"carbondale": "2026-03-10T13:00Z", "albany": "2026-03-10T12:00Z"}
    for here, at in eight.items():
        other = eight["albany" if here == "carbondale" else "carbondale"]
        story = Story()
        wish = {"session_id": session_id(1), "starts_at": at}
        assert names(story.tell(requested(location=here, sessions=(wish,)))) == ["course.accepted"]
        assert PLACES[here].location.local(story.session().starts_at).hour == 8
        too_early = min(at, other) == other
        wish = {"session_id": session_id(1), "starts_at": other}
        told = names(Story().tell(requested(location=here, sessions=(wish,))))
        assert told == (["course.rejected"] if too_early else ["course.accepted"])


def test_one_person_is_not_at_two_clinics_at_once_whatever_their_zones() -> None:
    story = Story(room(4))
    story.tell(requested(1, patient_id="anna"))
    at = story.session().starts_at + HOUR
    wish = {"session_id": session_id(9), "starts_at": at}
    [event] = story.tell(requested(course=session_id(8), patient_id="anna", location="stabilization", sessions=(wish,)))
    assert [conflict["code"] for conflict in event.model_dump()["conflicts"]] == [Refusal.PATIENT_BUSY]
