"""Chairs, providers and time: a course is seated whole, and every reason against it is named."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.booking.chairs.calendar import Calendar, Taken
from services.booking.chairs.location import Place, Room
from services.booking.chairs.seating import Seats, Visitor, seat, seat_course
from shared.contract.clinic import CourseRequested, RecordOnFile, RequestedSession
from shared.contract.closed_sets import Payer, Refusal
from tests.booking_story import COURSE, NOW, OTHER, PLACES, STELLA

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TEN = datetime(2026, 3, 10, 15, tzinfo=UTC)
"""A Tuesday, ten in the morning in Chicago."""

VISIT = timedelta(minutes=105)
ONE_CHAIR = replace(STELLA, room=Room(chairs=("chair-1",), providers=("provider-1",)))


def wish(*starts: datetime, course: UUID = COURSE, **told: object) -> CourseRequested:
    fields: dict[str, object] = {
        "course_id": course,
        "patient_id": f"patient-{course.int}",
        "location": "stella",
        "treatment": "ketamine_induction",
        "payer": Payer.SELF_PAY,
        "sessions": tuple(
            RequestedSession(session_id=uuid5(course, str(n)), starts_at=at) for n, at in enumerate(starts)
        ),
    }
    return CourseRequested.model_validate(fields | told)


def taken(at: datetime, chair: str = "chair-1", provider: str = "provider-1", **told: str) -> Taken:
    session_id = uuid5(OTHER, f"{at}{chair}{provider}{told}")
    where, who = told.get("location", "stella"), told.get("patient", "x")
    return Taken(session_id, OTHER, where, chair, provider, who, at, at + VISIT)


def refusals(
    request: CourseRequested, *others: Taken, place: Place = STELLA, now: datetime = NOW
) -> list[tuple[int | None, Refusal]]:
    """Which wish, by its number, is refused and why; empty where the course has its seats."""
    seated = seat_course(Calendar.of(others), place, request, now)
    if isinstance(seated, Seats):
        return []
    numbers = {wish.session_id: n for n, wish in enumerate(request.sessions or ())}
    return [(None if c.session_id is None else numbers[c.session_id], c.code) for c in seated]


def test_each_session_gets_the_first_free_chair_and_the_first_free_provider() -> None:
    others = (taken(TEN, "chair-1", "provider-2"), taken(TEN + HOUR, "chair-2", "provider-1", patient="y"))
    seated = seat_course(Calendar.of(others), STELLA, wish(TEN, TEN + 2 * DAY), NOW)
    assert isinstance(seated, Seats)
    assert [(s.chair, s.provider) for s in seated.taken] == [("chair-3", "provider-3"), ("chair-1", "provider-1")]


def test_neighbours_may_touch() -> None:
    assert refusals(wish(TEN), taken(TEN - VISIT), taken(TEN + VISIT), place=ONE_CHAIR) == []


@pytest.mark.parametrize("by", [-VISIT + MINUTE, -MINUTE, timedelta(), MINUTE, VISIT - MINUTE])
def test_a_minute_of_overlap_takes_the_chair(by: timedelta) -> None:
    assert refusals(wish(TEN), taken(TEN + by), place=ONE_CHAIR) == [(0, Refusal.CHAIR_TAKEN)]


def test_a_free_chair_without_a_free_provider_is_no_place() -> None:
    place = replace(STELLA, room=Room(chairs=("chair-1", "chair-2"), providers=("provider-1",)))
    assert refusals(wish(TEN), taken(TEN, "chair-2"), place=place) == [(0, Refusal.PROVIDER_TAKEN)]


def test_a_patient_is_busy_wherever_the_other_appointment_is() -> None:
    elsewhere = taken(TEN + HOUR, location="albany", patient=f"patient-{COURSE.int}")
    assert refusals(wish(TEN), elsewhere) == [(0, Refusal.PATIENT_BUSY)]


def test_a_chair_of_the_same_name_at_another_location_is_another_chair() -> None:
    assert refusals(wish(TEN), taken(TEN, location="albany"), place=ONE_CHAIR) == []


def test_two_sessions_of_one_course_do_not_sit_on_each_other() -> None:
    calm = {"ketamine_induction": STELLA.protocols["ketamine_induction"].model_copy(update={"smallest_gap_hours": 0})}
    assert refusals(wish(TEN, TEN + HOUR), place=replace(STELLA, protocols=calm)) == [(1, Refusal.PATIENT_BUSY)]


def test_every_conflict_is_named_and_nothing_is_seated() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"records": ("consent", "screening")})
    place = replace(ONE_CHAIR, protocols={"ketamine_induction": protocol})
    request = wish(NOW - DAY, TEN, TEN + HOUR, TEN + 3 * DAY + 12 * HOUR, TEN + 30 * DAY)
    assert refusals(request, taken(TEN), place=place) == [
        (None, Refusal.RECORD_MISSING),
        (None, Refusal.RECORD_MISSING),
        (2, Refusal.TOO_CLOSE),
        (4, Refusal.TOO_FAR),
        (4, Refusal.OUTSIDE_WINDOW),
        (0, Refusal.IN_PAST),
        (1, Refusal.CHAIR_TAKEN),
        (2, Refusal.CHAIR_TAKEN),
        (3, Refusal.CLOSED),
    ]


def test_the_records_that_the_protocol_needs_must_be_on_file() -> None:
    protocol = STELLA.protocols["ketamine_induction"].model_copy(update={"records": ("consent", "screening")})
    place = replace(STELLA, protocols={"ketamine_induction": protocol})
    have = tuple(RecordOnFile(kind=kind, recorded_on=date(2026, 3, 1)) for kind in ("screening", "consent", "other"))
    assert refusals(wish(TEN, records=have), place=place) == []
    assert refusals(wish(TEN, records=have[:1]), place=place) == [(None, Refusal.RECORD_MISSING)]


def test_the_present_is_past() -> None:
    assert refusals(wish(TEN), now=TEN) == [(0, Refusal.IN_PAST)]
    assert refusals(wish(TEN), now=TEN - MINUTE) == []


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (24 * HOUR - MINUTE, Refusal.TOO_CLOSE),
        (24 * HOUR, None),
        (240 * HOUR, None),
        (240 * HOUR + MINUTE, Refusal.TOO_FAR),
    ],
)
def test_gaps_count_from_start_to_start(later: timedelta, code: Refusal | None) -> None:
    wide = replace(STELLA, location=STELLA.location.model_copy(update={"hours": ALWAYS}))
    assert refusals(wish(TEN, TEN + later), place=wide) == ([(1, code)] if code else [])


ALWAYS = tuple(
    hours.model_copy(update={"days": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")})
    for hours in STELLA.location.hours
)


def test_wishes_are_judged_in_order_of_time_whatever_their_order() -> None:
    assert refusals(wish(TEN + 2 * DAY, TEN, TEN + 3 * HOUR)) == [(2, Refusal.TOO_CLOSE)]


def test_the_window_reaches_from_the_first_to_the_last_session() -> None:
    weekly = [TEN + n * 7 * DAY for n in range(4)]
    assert refusals(wish(*weekly)) == []
    assert refusals(wish(*weekly, weekly[-1] + DAY)) == [(4, Refusal.OUTSIDE_WINDOW)]


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
    assert refusals(wish(datetime.fromisoformat(starts_at))) == ([] if open_then else [(0, Refusal.CLOSED)])


def test_nobody_is_seated_on_a_holiday() -> None:
    closed = replace(STELLA, location=STELLA.location.model_copy(update={"holidays": (date(2026, 3, 10),)}))
    assert refusals(wish(TEN, TEN + DAY), place=closed) == [(0, Refusal.CLOSED)]


def test_a_visit_does_not_reach_over_a_lunch_break() -> None:
    morning, afternoon = ALWAYS[0].model_copy(), ALWAYS[0].model_copy()
    morning = morning.model_copy(update={"closes": morning.opens.replace(hour=12)})
    afternoon = afternoon.model_copy(update={"opens": afternoon.opens.replace(hour=13)})
    place = replace(STELLA, location=STELLA.location.model_copy(update={"hours": (morning, afternoon)}))
    assert refusals(wish(TEN), place=place) == []
    assert refusals(wish(TEN + HOUR), place=place) == [(0, Refusal.CLOSED)]
    assert refusals(wish(TEN + 3 * HOUR), place=place) == []


def test_a_night_that_ends_on_another_day_is_closed() -> None:
    location = STELLA.location
    late = location.hours[0].model_copy(
        update={"opens": location.hours[0].opens.replace(hour=0), "closes": location.hours[0].closes.replace(hour=23)}
    )
    place = replace(STELLA, location=location.model_copy(update={"hours": (late,)}))
    assert refusals(wish(datetime.fromisoformat("2026-03-10T23:30-05:00")), place=place) == [(0, Refusal.CLOSED)]


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
    calendar, booked = Calendar(), list[Taken]()
    for number, (slots, patient, location) in enumerate(courses):
        request = wish(*(slot(n) for n in slots), course=UUID(int=number), patient_id=str(patient), location=location)
        seated = seat_course(calendar, places[location], request, NOW)
        if isinstance(seated, Seats):
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
    calendar = Calendar.of([other])
    where = (ONE_CHAIR, Visitor.of(wish(TEN), ONE_CHAIR), COURSE, TEN)
    assert seat(calendar, *where) is Refusal.CHAIR_TAKEN
    seated = seat(calendar.free(other.session_id), *where)
    assert isinstance(seated, Taken)
    assert seat(calendar, *where) is Refusal.CHAIR_TAKEN, "a calendar is a value"
