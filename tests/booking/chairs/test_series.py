"""Plans: a series in a patient's hours that breaks no rule, is the same every time, and levels the day."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.booking.chairs.calendar import Calendar, Closed, Taken
from services.booking.chairs.free_starts import STEP
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.rhythm import rhythm
from services.booking.chairs.seating import Seated, seat_course
from services.booking.chairs.series import FIRST_WITHIN, days_of_request, plan_course
from shared.configuration.clinic import WEEKDAYS
from shared.contract.booking import CourseAccepted
from shared.contract.clinic import CoursePlan, CourseRequested, RecordOnFile, RequestedSession
from tests.facts.clinic import course_requested, plan_requested
from tests.facts.course import DAY, HOUR, NEXT_MONDAY, NOW, OTHER
from tests.stand_ins.booking_places import AUTUMN, PLACES, SPRING, STELLA, always_open, room, with_hours
from tests.stand_ins.booking_story import Story, names
from tests.stand_ins.seats import calendar_of, planned


@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_a_daily_series_keeps_its_hour_over_the_night(night: date) -> None:
    place = always_open(opens=time(10), closes=time(12), usual_gap_hours=24, smallest_gap_hours=24)
    plan = CoursePlan(first_day=night - DAY, count=3)
    found = plan_course(calendar_of(), place, course_requested(sessions=None, plan=plan), plan, NOW)
    assert isinstance(found, tuple)
    walls = [place.location.local(one.starts_at) for one in found]
    assert [wall.date() for wall in walls] == [night - DAY, night, night + DAY]
    assert {wall.time() for wall in walls} == {time(10)}


def test_a_plan_is_in_the_hours_of_the_clinic_and_not_of_the_patient() -> None:
    """Eight to ten in Los Angeles is eleven to one where a patient of New York lives."""
    plan = CoursePlan(first_day=date(2026, 3, 9), earliest="08:00", latest="10:00")
    story = Story()
    [event] = story.tell(course_requested(sessions=None, plan=plan, location="stabilization"))
    assert isinstance(event, CourseAccepted)
    assert {s.time_zone for s in event.sessions} == {"America/Los_Angeles"}
    for session in event.sessions:
        assert 8 <= session.starts_at.astimezone(ZoneInfo("America/Los_Angeles")).hour <= 10
        assert 11 <= session.starts_at.astimezone(ZoneInfo("America/New_York")).hour <= 13


ALBANY = PLACES["albany"]
ENROLLED = (RecordOnFile(kind="rems_enrolment", recorded_on=date(2026, 1, 5)),)


def test_six_infusions_are_planned_over_three_weeks_and_held_whole() -> None:
    story = Story()
    [event] = story.tell(plan_requested())
    assert isinstance(event, CourseAccepted)
    assert [f"{STELLA.location.local(s.starts_at):%a %d}" for s in event.sessions] == [
        "Mon 09", "Thu 12", "Mon 16", "Thu 19", "Mon 23", "Thu 26",
    ]  # fmt: skip
    assert [s.number for s in event.sessions] == [1, 2, 3, 4, 5, 6]
    assert story.course().request == plan_requested()


def test_a_plan_keeps_to_the_patients_weekdays_and_hours() -> None:
    wish = plan_requested(weekdays=("tue", "fri"), earliest="13:00", latest="15:30")
    found = planned(wish)
    assert len(found) == 6
    assert {at.weekday() for at in found} == {1, 4}
    assert all(time(13) <= at.time() <= time(15, 30) for at in found)


def test_a_requests_own_count_and_minutes_go_before_the_protocols() -> None:
    story = Story()
    [event] = story.tell(plan_requested(count=3, minutes=200))
    assert isinstance(event, CourseAccepted)
    assert [s.ends_at - s.starts_at for s in event.sessions] == [timedelta(minutes=200)] * 3


def test_spravato_is_planned_in_its_three_phases() -> None:
    wish = plan_requested(location="albany", treatment="spravato", count=16, records=ENROLLED)
    gaps = [(later - earlier) / DAY for earlier, later in pairwise(planned(wish, ALBANY))]
    assert len(gaps) == 15
    assert all(2 <= gap <= 5 for gap in gaps[:7])
    assert all(5 <= gap <= 10 for gap in gaps[7:11])
    assert all(6 <= gap <= 16 for gap in gaps[11:])
    assert 26 < sum(gaps[:8]) <= 32


def test_stimulation_is_planned_daily_on_weekdays_for_six_weeks_and_tapers() -> None:
    found = planned(plan_requested(location="albany", treatment="tms"), ALBANY)
    assert [at.date() for at in found[:30]] == [
        NEXT_MONDAY + week * 7 * DAY + n * DAY for week in range(6) for n in range(5)
    ]
    assert len(found) == 36
    assert all(at.weekday() < 5 for at in found)
    assert (found[-1] - found[29]).days >= 12


def test_a_holiday_is_stepped_over() -> None:
    place = with_hours(ALBANY, ("08:00", "19:00"), holidays=[date(2026, 3, 11)])
    found = planned(plan_requested(location="albany", treatment="tms"), place)
    assert [at.day for at in found[:4]] == [9, 10, 12, 13]


def test_nothing_is_planned_into_a_break() -> None:
    place = with_hours(STELLA, ("08:00", "12:00"), ("13:00", "17:00"))
    for n in range(8):
        [at] = planned(plan_requested(count=1, course=UUID(int=n), minutes=120), place, *full(place, n))
        ends = at + timedelta(minutes=120)
        assert ends.time() <= time(12) or at.time() >= time(13)


def full(place: ChairPlan, visits: int) -> list[Taken]:
    """So many visits of two hours on Monday, all at eight, each in a chair of its own as long as there is one."""
    at = datetime.combine(NEXT_MONDAY, time(8), place.location.tz)
    chairs = list(zip(place.room.chairs, place.room.providers, strict=True))[:visits]
    return [
        Taken(UUID(int=900 + n), OTHER, place.name, *seat, f"x{n}", at, at + 2 * HOUR) for n, seat in enumerate(chairs)
    ]


def test_an_earlier_session_gives_way_where_a_later_one_finds_no_place() -> None:
    """Two sessions, a gap of one or two days: Monday and Tuesday are free, then nothing before Friday."""
    protocol = STELLA.protocols["ketamine_induction"].model_copy(
        update={"usual_gap_hours": 48, "largest_gap_hours": 72, "window_days": 30}
    )
    place = with_hours(STELLA, ("08:00", "19:00"), holidays=[date(2026, 3, 11), date(2026, 3, 12)])
    place = replace(place, protocols={"ketamine_induction": protocol})
    assert [at.day for at in planned(plan_requested(count=3), place)] == [9, 10, 13]


def test_a_long_series_that_cannot_be_is_given_up_soon() -> None:
    """Two closed weeks in the middle, which no gap of the protocol reaches over."""
    weeks = [date(2026, 4, 6) + n * DAY for n in range(14)]
    place = with_hours(ALBANY, ("08:00", "19:00"), holidays=weeks)
    wish = plan_requested(location="albany", treatment="tms")
    assert wish.plan is not None
    assert not isinstance(plan_course(calendar_of(), place, wish, wish.plan, NOW), tuple)


def test_a_day_is_filled_evenly_and_not_from_the_morning() -> None:
    """Eleven hours, visits of 105 minutes: six at a time in one row, four chairs."""
    story = Story()
    peaks = []
    for n in range(1, 25):
        wish = plan_requested(course=UUID(int=n), count=1, weekdays=("mon",), treatment="ketamine_maintenance")
        assert names(story.tell(wish)) == ["course.accepted"]
        busy = Counter(at for course in story.courses.values() for at in quarters(course.sessions[0]))
        peaks.append(max(busy.values()))
        if n % 6 == 0:
            assert len(set(busy.values())) == 1, "each hour has as many as any other"
    assert peaks == [1] * 6 + [2] * 6 + [3] * 6 + [4] * 6


def quarters(session: object) -> Iterable[datetime]:
    at, ends = session.starts_at, session.ends_at  # type: ignore[attr-defined]
    while at < ends:
        yield at
        at += STEP


BUSY = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 43), st.integers(0, 3)), max_size=120)


@settings(max_examples=60, deadline=None)
@given(
    busy=BUSY,
    count=st.integers(1, 8),
    weekdays=st.sets(st.sampled_from(list(WEEKDAYS)), min_size=1) | st.none(),
    earliest=st.sampled_from([None, "08:00", "11:15", "14:00"]),
    latest=st.sampled_from([None, "12:00", "15:45", "18:00"]),
    chairs=st.integers(1, 3),
    treatment=st.sampled_from(["ketamine_induction", "ketamine_maintenance"]),
    closed=st.integers(-1, 20),
)
def test_a_plan_breaks_no_rule_is_the_same_again_and_a_start_that_it_names_can_be_had(
    busy: list[tuple[int, int, int]],
    count: int,
    weekdays: set[object] | None,
    earliest: str | None,
    latest: str | None,
    chairs: int,
    treatment: str,
    closed: int,
) -> None:
    place = room(chairs)["stella"]
    calendar = calendar_of(*strangers(place, busy), closed=closures(place, closed))
    wish = plan_requested(count=count, weekdays=weekdays, earliest=earliest, latest=latest, treatment=treatment)
    assert wish.plan is not None
    found = plan_course(calendar, place, wish, wish.plan, NOW)
    assert plan_course(calendar, place, wish, wish.plan, NOW) == found
    if isinstance(found, datetime):
        later = wish.plan.model_copy(update={"first_day": place.location.local(found).date()})
        found = plan_course(calendar, place, wish.model_copy(update={"plan": later}), later, NOW)
        assert isinstance(found, tuple), "the nearest start can be had"
    elif isinstance(found, tuple):
        assert place.location.local(found[0].starts_at).date() < NEXT_MONDAY + FIRST_WITHIN * DAY
    if found is not None:
        keeps_every_rule(calendar, place, wish, found)


def strangers(place: ChairPlan, busy: list[tuple[int, int, int]]) -> list[Taken]:
    """Others, so many days from Monday and quarters from eight o'clock, as far as they do not sit on each other."""
    calendar, found = calendar_of(patients=[f"x{n}" for n in range(len(busy))]), list[Taken]()
    for n, (day, quarter, chair) in enumerate(busy):
        at = datetime.combine(NEXT_MONDAY + day * DAY, time(8), place.location.tz) + quarter * STEP
        who = Taken(UUID(int=n), OTHER, place.name, f"chair-{chair}", f"provider-{chair}", f"x{n}", at, at + HOUR)
        if all(calendar.is_free(resource, at, who.ends_at) for resource in who.resources):
            calendar = calendar.take(who)
            found.append(who)
    return found


def closures(place: ChairPlan, day: int) -> list[Closed]:
    at = datetime.combine(NEXT_MONDAY + day * DAY, time(), place.location.tz)
    return [Closed((place.name,), at, at + 3 * DAY)] if day >= 0 else []


def keeps_every_rule(
    calendar: Calendar, place: ChairPlan, wish: CourseRequested, found: tuple[RequestedSession, ...]
) -> None:
    """Judged by the rules for named sessions, and by the patient's own wishes."""
    assert wish.plan is not None
    assert len(found) == wish.plan.count
    named = wish.model_copy(update={"plan": None, "sessions": found})
    assert isinstance(seat_course(calendar, place, named, NOW), Seated)
    protocol = place.protocols[wish.treatment]
    assert rhythm(protocol, place.location, [(s.session_id, s.starts_at) for s in found]) == []
    known = days_of_request(place, wish, NOW)
    for session in found:
        wall = place.location.local(session.starts_at)
        assert wall.date() in known, "the calendar is read for every day that a plan may take"
        assert wish.plan.weekdays is None or WEEKDAYS[wall.weekday()] in wish.plan.weekdays
        assert (wish.plan.earliest or "00:00") <= f"{wall:%H:%M}" <= (wish.plan.latest or "24:00")
