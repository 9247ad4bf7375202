"""Plans: a series in a patient's hours that breaks no rule, is the same every time, and levels the day."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.booking.chairs.calendar import Calendar, Closed, Taken
from services.booking.chairs.free_starts import STEP, first_places
from services.booking.chairs.location import Place, Room, Shift
from services.booking.chairs.rhythm import rhythm
from services.booking.chairs.seating import Seats, seat_course
from services.booking.chairs.series import FIRST_WITHIN, days_of_request, plan_course
from services.booking.rules.course import CourseState
from shared.configuration.clinic import WEEKDAYS, Opening
from shared.contract.booking import CourseAccepted, CourseRejected
from shared.contract.clinic import CoursePlan, CourseRequested, RecordOnFile, RequestedSession
from shared.contract.closed_sets import Refusal
from shared.contract.register import EventData
from tests.booking_story import COURSE, DAY, HOUR, NOW, OTHER, PLACES, STELLA, Story, names, requested, room

MONDAY = date(2026, 3, 9)
ALBANY = PLACES["albany"]
ENROLLED = (RecordOnFile(kind="rems_enrolment", recorded_on=date(2026, 1, 5)),)


def asked(first_day: date = MONDAY, course: UUID = COURSE, place: Place = STELLA, **told: object) -> CourseRequested:
    """A course with a plan; what belongs to the plan goes there."""
    inside = {name: told.pop(name) for name in ("count", "weekdays", "earliest", "latest") if name in told}
    plan = CoursePlan.model_validate({"first_day": first_day} | inside)
    return requested(course=course, sessions=None, plan=plan, location=place.name, **told)


def planned(request: CourseRequested, place: Place = STELLA, *taken: Taken, now: datetime = NOW) -> list[datetime]:
    """When the sessions of a plan are, by the clock on the wall; empty where there is none."""
    assert request.plan is not None
    found = plan_course(Calendar.of(taken), place, request, request.plan, now)
    if not isinstance(found, tuple):
        return []
    return [place.location.local(one.starts_at).replace(tzinfo=None) for one in found]


def rejected(events: list[EventData]) -> CourseRejected:
    [event] = events
    assert isinstance(event, CourseRejected)
    return event


def with_hours(place: Place, *openings: tuple[str, str], holidays: Iterable[date] = (), days: str = "") -> Place:
    """A place that is open at other times."""
    hours = tuple(
        Opening(
            days=tuple(WEEKDAYS) if days == "all" else WEEKDAYS[:5],
            opens=time.fromisoformat(opens),
            closes=time.fromisoformat(closes),
        )
        for opens, closes in openings
    )
    return replace(place, location=place.location.model_copy(update={"hours": hours, "holidays": tuple(holidays)}))


def test_six_infusions_are_planned_over_three_weeks_and_held_whole() -> None:
    story = Story()
    [event] = story.tell(asked())
    assert isinstance(event, CourseAccepted)
    assert [f"{STELLA.location.local(s.starts_at):%a %d}" for s in event.sessions] == [
        "Mon 09", "Thu 12", "Mon 16", "Thu 19", "Mon 23", "Thu 26",
    ]  # fmt: skip
    assert [s.number for s in event.sessions] == [1, 2, 3, 4, 5, 6]
    assert story.course().request == asked()


def test_the_same_plan_again_has_no_effect() -> None:
    story = Story()
    story.tell(asked())
    assert story.tell(asked()) == []


def test_a_plan_keeps_to_the_patients_weekdays_and_hours() -> None:
    wish = asked(weekdays=("tue", "fri"), earliest="13:00", latest="15:30")
    found = planned(wish)
    assert len(found) == 6
    assert {at.weekday() for at in found} == {1, 4}
    assert all(time(13) <= at.time() <= time(15, 30) for at in found)


def test_a_requests_own_count_and_minutes_go_before_the_protocols() -> None:
    story = Story()
    [event] = story.tell(asked(count=3, minutes=200))
    assert isinstance(event, CourseAccepted)
    assert [s.ends_at - s.starts_at for s in event.sessions] == [timedelta(minutes=200)] * 3


def test_spravato_is_planned_in_its_three_phases() -> None:
    wish = asked(place=ALBANY, treatment="spravato", count=16, records=ENROLLED)
    gaps = [(later - earlier) / DAY for earlier, later in pairwise(planned(wish, ALBANY))]
    assert len(gaps) == 15
    assert all(2 <= gap <= 5 for gap in gaps[:7])
    assert all(5 <= gap <= 10 for gap in gaps[7:11])
    assert all(6 <= gap <= 16 for gap in gaps[11:])
    assert 26 < sum(gaps[:8]) <= 32


def test_stimulation_is_planned_daily_on_weekdays_for_six_weeks_and_tapers() -> None:
    found = planned(asked(place=ALBANY, treatment="tms"), ALBANY)
    assert [at.date() for at in found[:30]] == [
        MONDAY + week * 7 * DAY + n * DAY for week in range(6) for n in range(5)
    ]
    assert len(found) == 36
    assert all(at.weekday() < 5 for at in found)
    assert (found[-1] - found[29]).days >= 12


def test_a_holiday_is_stepped_over() -> None:
    place = with_hours(ALBANY, ("08:00", "19:00"), holidays=[date(2026, 3, 11)])
    found = planned(asked(place=place, treatment="tms"), place)
    assert [at.day for at in found[:4]] == [9, 10, 12, 13]


def test_nothing_is_planned_into_a_break() -> None:
    place = with_hours(STELLA, ("08:00", "12:00"), ("13:00", "17:00"))
    for n in range(8):
        [at] = planned(asked(count=1, course=UUID(int=n), minutes=120), place, *full(place, n))
        ends = at + timedelta(minutes=120)
        assert ends.time() <= time(12) or at.time() >= time(13)


def full(place: Place, visits: int) -> list[Taken]:
    """So many visits of two hours on Monday, all at eight, each in a chair of its own as long as there is one."""
    at = datetime.combine(MONDAY, time(8), place.location.tz)
    chairs = list(zip(place.room.chairs, place.room.providers, strict=True))[:visits]
    return [
        Taken(UUID(int=900 + n), OTHER, place.name, *seat, f"x{n}", at, at + 2 * HOUR) for n, seat in enumerate(chairs)
    ]


def test_a_provider_works_in_the_shift_only() -> None:
    shifts = {"provider-1": (Shift(days=WEEKDAYS[:5], begins=time(13), ends=time(17)),)}
    place = replace(STELLA, room=Room(chairs=("c",), providers=("provider-1",), shifts=shifts))
    found = planned(asked(), place)
    assert len(found) == 6
    assert all(time(13) <= at.time() <= time(15, 15) for at in found)
    early = requested(1)
    refused = seat_course(Calendar(), place, early, NOW)
    assert [conflict.code for conflict in refused if not isinstance(refused, Seats)] == [Refusal.PROVIDER_TAKEN]


def test_two_visits_share_a_provider_who_stays_for_the_treatment_only() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"provider_during": ("treatment",)})
    place = replace(
        STELLA, protocols={"ketamine_induction": protocol}, room=Room(chairs=("a", "b"), providers=("provider-1",))
    )
    first = seat_course(Calendar(), place, requested(1), NOW)
    assert isinstance(first, Seats)
    [seat] = first.taken
    assert (seat.provider_from, seat.provider_until) == (
        seat.starts_at + timedelta(minutes=15),
        seat.starts_at + timedelta(minutes=60),
    )
    for minutes, free in ((44, False), (45, True)):
        at = seat.starts_at + timedelta(minutes=minutes)
        wish = requested(1, OTHER, sessions=({"session_id": OTHER, "starts_at": at},))
        second = seat_course(first.calendar, place, wish, NOW)
        assert isinstance(second, Seats) is free
        if not isinstance(second, Seats):
            assert [conflict.code for conflict in second] == [Refusal.PROVIDER_TAKEN]


def test_an_earlier_session_gives_way_where_a_later_one_finds_no_place() -> None:
    """Two sessions, a gap of one or two days: Monday and Tuesday are free, then nothing before Friday."""
    protocol = STELLA.protocols["ketamine_induction"].model_copy(
        update={"usual_gap_hours": 48, "largest_gap_hours": 72, "window_days": 30}
    )
    place = with_hours(STELLA, ("08:00", "19:00"), holidays=[date(2026, 3, 11), date(2026, 3, 12)])
    place = replace(place, protocols={"ketamine_induction": protocol})
    assert [at.day for at in planned(asked(count=3), place)] == [9, 10, 13]


def test_what_cannot_be_planned_whole_holds_nothing_and_names_the_nearest_start() -> None:
    week = [MONDAY + n * DAY for n in range(7)]
    closed = with_hours(STELLA, ("08:00", "19:00"), holidays=week)
    story = Story(PLACES | {"stella": closed})
    event = rejected(story.tell(asked()))
    assert event.code is Refusal.NO_PLAN_FOUND
    assert event.nearest_start is not None
    assert closed.location.local(event.nearest_start).date() == date(2026, 3, 16)
    assert story.course().state is CourseState.REJECTED
    assert story.course().sessions == ()
    again = asked(event.nearest_start.date())
    assert names(story.tell(again)) == ["course.accepted"]
    assert story.session().starts_at == event.nearest_start


def test_a_plan_for_which_there_is_never_a_place_names_no_start() -> None:
    event = rejected(Story().tell(asked(earliest="18:00")))
    assert (event.code, event.nearest_start) == (Refusal.NO_PLAN_FOUND, None)


def test_a_plan_that_begins_in_the_past_is_refused_with_the_nearest_start() -> None:
    event = rejected(Story().tell(asked(date(2026, 3, 1))))
    assert event.code is Refusal.IN_PAST
    assert event.nearest_start is not None
    assert event.nearest_start > NOW


@pytest.mark.parametrize(
    ("place", "told", "code"),
    [
        ("albany", {"treatment": "spravato"}, Refusal.RECORD_MISSING),
        ("albany", {"treatment": "sgb", "count": 3}, Refusal.WRONG_COUNT),
        ("albany", {"treatment": "consultation", "count": 2}, Refusal.WRONG_COUNT),
        ("sturges", {}, Refusal.COMPANION_MISSING),
    ],
)
def test_what_the_protocol_needs_is_asked_of_a_plan_too(place: str, told: dict[str, object], code: Refusal) -> None:
    event = rejected(Story().tell(asked(place=PLACES[place], **told)))
    assert (event.code, event.nearest_start) == (code, None)


def test_a_long_series_that_cannot_be_is_given_up_soon() -> None:
    """Two closed weeks in the middle, which no gap of the protocol reaches over."""
    weeks = [date(2026, 4, 6) + n * DAY for n in range(14)]
    place = with_hours(ALBANY, ("08:00", "19:00"), holidays=weeks)
    wish = asked(place=place, treatment="tms")
    assert wish.plan is not None
    assert not isinstance(plan_course(Calendar(), place, wish, wish.plan, NOW), tuple)


def test_a_day_is_filled_evenly_and_not_from_the_morning() -> None:
    """Eleven hours, visits of 105 minutes: six at a time in one row, four chairs."""
    story = Story()
    peaks = []
    for n in range(1, 25):
        wish = asked(course=UUID(int=n), count=1, weekdays=("mon",), treatment="ketamine_maintenance")
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
    calendar = Calendar.of(strangers(place, busy), closed=closures(place, closed))
    wish = asked(count=count, weekdays=weekdays, earliest=earliest, latest=latest, treatment=treatment)
    assert wish.plan is not None
    found = plan_course(calendar, place, wish, wish.plan, NOW)
    assert plan_course(calendar, place, wish, wish.plan, NOW) == found
    if isinstance(found, datetime):
        later = wish.plan.model_copy(update={"first_day": place.location.local(found).date()})
        found = plan_course(calendar, place, wish.model_copy(update={"plan": later}), later, NOW)
        assert isinstance(found, tuple), "the nearest start can be had"
    elif isinstance(found, tuple):
        assert place.location.local(found[0].starts_at).date() < MONDAY + FIRST_WITHIN * DAY
    if found is not None:
        keeps_every_rule(calendar, place, wish, found)


def strangers(place: Place, busy: list[tuple[int, int, int]]) -> list[Taken]:
    """Others, so many days from Monday and quarters from eight o'clock, as far as they do not sit on each other."""
    calendar, found = Calendar(), list[Taken]()
    for n, (day, quarter, chair) in enumerate(busy):
        at = datetime.combine(MONDAY + day * DAY, time(8), place.location.tz) + quarter * STEP
        who = Taken(UUID(int=n), OTHER, place.name, f"chair-{chair}", f"provider-{chair}", f"x{n}", at, at + HOUR)
        if all(calendar.is_free(resource, at, who.ends_at) for resource in who.resources):
            calendar = calendar.take(who)
            found.append(who)
    return found


def closures(place: Place, day: int) -> list[Closed]:
    at = datetime.combine(MONDAY + day * DAY, time(), place.location.tz)
    return [Closed(place.name, at, at + 3 * DAY)] if day >= 0 else []


def keeps_every_rule(
    calendar: Calendar, place: Place, wish: CourseRequested, found: tuple[RequestedSession, ...]
) -> None:
    """Judged by the rules for named sessions, and by the patient's own wishes."""
    assert wish.plan is not None
    assert len(found) == wish.plan.count
    named = wish.model_copy(update={"plan": None, "sessions": found})
    assert isinstance(seat_course(calendar, place, named, NOW), Seats)
    protocol = place.protocols[wish.treatment]
    assert rhythm(protocol, place.location, [(s.session_id, s.starts_at) for s in found]) == []
    known = days_of_request(place, wish, NOW)
    for session in found:
        wall = place.location.local(session.starts_at)
        assert wall.date() in known, "the calendar is read for every day that a plan may take"
        assert wish.plan.weekdays is None or WEEKDAYS[wall.weekday()] in wish.plan.weekdays
        assert (wish.plan.earliest or "00:00") <= f"{wall:%H:%M}" <= (wish.plan.latest or "24:00")


def test_the_first_free_places_come_in_order_of_time() -> None:
    place = room(1)["stella"]
    at = datetime.combine(MONDAY, time(8), place.location.tz)
    busy = Taken(OTHER, OTHER, "stella", "chair-1", "provider-1", "x", at, at + 2 * HOUR)
    found = first_places(Calendar.of([busy]), place, "ketamine_induction", MONDAY, 2, NOW, limit=3)
    assert [f"{place.location.local(one.starts_at):%a %H:%M}" for one in found] == [
        "Mon 10:00",
        "Mon 10:15",
        "Mon 10:30",
    ]
    assert {(one.chair, one.provider, one.ends_at - one.starts_at) for one in found} == {
        ("chair-1", "provider-1", timedelta(minutes=105))
    }


def test_what_is_past_busy_elsewhere_or_too_long_is_not_offered() -> None:
    noon = datetime.combine(MONDAY, time(12), STELLA.location.tz)
    elsewhere = Taken(OTHER, OTHER, "albany", "chair-1", "provider-1", "anna", noon, noon + 3 * HOUR)
    calendar = Calendar.of([elsewhere])
    found = first_places(calendar, STELLA, "ketamine_induction", MONDAY, 1, noon, 99, minutes=120, patient_id="anna")
    assert [f"{STELLA.location.local(one.starts_at):%H:%M}" for one in found] == [
        f"{hour}:{quarter:02}" for hour in (15, 16) for quarter in (0, 15, 30, 45)
    ] + ["17:00"]
