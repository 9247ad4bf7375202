"""Free places, and other times for each session of a course that cannot be held as it was wished."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from uuid import UUID

import pytest

from services.booking.chairs.calendar import Taken
from services.booking.chairs.free_starts import first_seats, grid
from services.booking.chairs.location import ChairPlan
from shared.contract.booking import CourseRejected
from shared.contract.clinic import CourseRequested, RecordOnFile
from shared.contract.closed_sets import Refusal
from tests.facts.clinic import course_requested, requested_at
from tests.facts.course import DAY, HOUR, NEXT_MONDAY, NOW, OTHER, TEN, session_id
from tests.stand_ins.booking_places import AUTUMN, PLACES, SPRING, STELLA, always_open, room
from tests.stand_ins.booking_story import Story, names
from tests.stand_ins.seats import calendar_of


def refusal(request: CourseRequested, story: Story | None = None) -> CourseRejected:
    [event] = (story or Story()).tell(request)
    assert isinstance(event, CourseRejected)
    return event


def shown(event: CourseRejected, place: ChairPlan = STELLA) -> dict[int, list[str]]:
    """Other times by the number of the wish, as the clock on the wall shows them."""
    numbers = {session_id(n): n for n in range(1, 10)}
    return {
        numbers[one.session_id]: [f"{place.location.local(at):%a %d %H:%M}" for at in one.starts_at]
        for one in event.alternatives or ()
    }


def taken_at(*starts: datetime, places: dict[str, ChairPlan] | None = None) -> Story:
    """A story in which somebody has the only chair, each time another patient."""
    story = Story(places or room(1))
    for number, at in enumerate(starts, start=50):
        request = requested_at(at, course=UUID(int=number), patient_id=f"x{number}")
        assert names(story.tell(request)) == ["course.accepted"]
    return story


def test_three_times_near_the_wish_are_named_the_nearest_first() -> None:
    event = refusal(requested_at(TEN), taken_at(TEN))
    assert [(c.session_id, c.code) for c in event.conflicts] == [(session_id(1), Refusal.CHAIR_TAKEN)]
    assert shown(event) == {1: ["Tue 10 08:15", "Tue 10 11:45", "Tue 10 08:00"]}


def test_each_of_the_named_times_is_accepted_in_place_of_the_wish() -> None:
    event = refusal(requested_at(TEN, TEN + 2 * DAY), taken_at(TEN, TEN + 2 * DAY))
    assert event.alternatives is not None
    first, second = (one.starts_at for one in event.alternatives)
    for one in first:
        for other in second:
            story = taken_at(TEN, TEN + 2 * DAY)
            assert names(story.tell(requested_at(one, other))) == ["course.accepted"]


def test_every_conflict_is_named_with_times_of_its_own_and_the_rest_is_not() -> None:
    event = refusal(requested_at(TEN, TEN + 2 * DAY, TEN + 7 * DAY), taken_at(TEN, TEN + 7 * DAY))
    assert [c.session_id for c in event.conflicts] == [session_id(1), session_id(3)]
    assert list(shown(event)) == [1, 3]
    assert event.code is Refusal.CHAIR_TAKEN


def test_a_wish_on_a_closed_day_gets_times_on_the_days_around_it() -> None:
    saturday = TEN + 4 * DAY
    event = refusal(requested_at(saturday))
    assert event.code is Refusal.CLOSED
    assert shown(event) == {1: ["Fri 13 17:15", "Fri 13 17:00", "Fri 13 16:45"]}


def test_a_wish_too_close_to_another_gets_times_far_enough_from_it() -> None:
    event = refusal(requested_at(TEN, TEN + 3 * HOUR))
    assert event.code is Refusal.TOO_CLOSE
    assert shown(event) == {2: ["Wed 11 10:00", "Wed 11 10:15", "Wed 11 10:30"]}


def test_a_wish_too_far_from_another_gets_times_near_enough() -> None:
    event = refusal(requested_at(TEN, TEN + 11 * DAY, TEN + 20 * DAY))
    assert [(c.session_id, c.code) for c in event.conflicts][:2] == [
        (session_id(2), Refusal.TOO_FAR),
        (session_id(2), Refusal.CLOSED),
    ]
    for at in shown(event)[2]:
        assert at.startswith("Fri 20")


def test_a_wish_in_the_past_gets_times_to_come() -> None:
    event = refusal(requested_at(NOW - HOUR))
    assert event.code is Refusal.IN_PAST
    assert shown(event)[1] == ["Mon 02 09:15", "Mon 02 09:30", "Mon 02 09:45"]


def test_where_a_day_is_full_nothing_is_made_up() -> None:
    hours = STELLA.location.hours[0].model_copy(update={"closes": STELLA.location.hours[0].opens.replace(hour=10)})
    place = replace(room(1)["stella"], location=STELLA.location.model_copy(update={"hours": (hours,)}))
    at = TEN - 2 * HOUR
    event = refusal(requested_at(at), taken_at(at, places=PLACES | {"stella": place}))
    assert (event.code, event.alternatives) == (Refusal.CHAIR_TAKEN, None)


def test_what_no_other_time_would_mend_names_none() -> None:
    event = refusal(requested_at(TEN, location="sturges"))
    assert [c.code for c in event.conflicts] == [Refusal.COMPANION_MISSING]
    assert event.alternatives is None


def test_spravato_is_two_hours_on_site_even_where_less_is_asked() -> None:
    records = [RecordOnFile(kind="rems_enrolment", recorded_on=date(2026, 3, 1))]
    story = Story()
    story.tell(requested_at(TEN, treatment="spravato", location="albany", records=records, minutes=60))
    assert story.session().ends_at - story.session().starts_at == 2 * HOUR


@pytest.mark.parametrize(
    ("treatment", "starts", "codes"),
    [
        ("sgb", [TEN, TEN + 2 * DAY], []),
        ("sgb", [TEN, TEN + DAY], [Refusal.TOO_CLOSE]),
        ("sgb", [TEN, TEN + 2 * DAY, TEN + 6 * DAY], [Refusal.WRONG_COUNT]),
        ("consultation", [TEN], []),
        ("consultation", [TEN, TEN + 2 * DAY], [Refusal.WRONG_COUNT]),
    ],
)
def test_what_a_treatment_is_goes_before_a_requests_own_count(
    treatment: str, starts: list[datetime], codes: list[Refusal]
) -> None:
    [event] = Story().tell(requested_at(*starts, treatment=treatment, location="albany"))
    assert [c.code for c in getattr(event, "conflicts", ())] == codes


def test_a_treatment_is_given_on_its_weekdays_only() -> None:
    tms = PLACES["albany"].protocols["tms"].model_copy(update={"weekdays": ("mon", "wed")})
    place = replace(PLACES["albany"], protocols={"tms": tms})
    event = refusal(requested_at(TEN, treatment="tms", location="albany"), Story(PLACES | {"albany": place}))
    assert event.code is Refusal.CLOSED


def test_a_companion_opens_the_door_where_one_is_mandatory() -> None:
    story = Story()
    assert names(story.tell(requested_at(TEN, location="sturges", companions=("therapist",)))) == ["course.accepted"]
    assert story.told[-1].model_dump()["companions"] == ("therapist",)


def test_a_session_id_that_belongs_to_another_course_gets_no_other_time() -> None:
    story = taken_at()
    story.tell(requested_at(TEN, course=OTHER))
    taken = {"session_id": session_id(1, OTHER), "starts_at": TEN + 3 * DAY}
    event = refusal(course_requested(sessions=(taken,)), story)
    assert (event.code, event.alternatives) == (Refusal.COURSE_EXISTS, None)


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


@pytest.mark.parametrize(("night", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_the_day_of_the_change_is_filled_to_its_last_minute_and_not_beyond(night: date, hours: int) -> None:
    """In spring a visit of two hours before two ends at five; the place closes at half past four."""
    place = always_open(closes=time(4, 30))
    found = first_seats(calendar_of(), place, "ketamine_induction", night, 1, NOW, limit=99, minutes=120)
    latest = place.location.local(found[-1].ends_at)
    assert f"{latest:%H:%M}" == "04:30"
    assert len({one.starts_at for one in found}) == len(found)
    midnight = datetime.combine(night, time(), place.location.tz)
    next_day = datetime.combine(night + DAY, time(), place.location.tz)
    assert next_day.astimezone(NOW.tzinfo) - midnight.astimezone(NOW.tzinfo) == hours * HOUR


def test_the_first_free_places_come_in_order_of_time() -> None:
    place = room(1)["stella"]
    at = datetime.combine(NEXT_MONDAY, time(8), place.location.tz)
    busy = Taken(OTHER, OTHER, "stella", "chair-1", "provider-1", "x", at, at + 2 * HOUR)
    found = first_seats(calendar_of(busy), place, "ketamine_induction", NEXT_MONDAY, 2, NOW, limit=3)
    assert [f"{place.location.local(one.starts_at):%a %H:%M}" for one in found] == [
        "Mon 10:00",
        "Mon 10:15",
        "Mon 10:30",
    ]
    assert {(one.chair, one.provider, one.ends_at - one.starts_at) for one in found} == {
        ("chair-1", "provider-1", timedelta(minutes=105))
    }


def test_what_is_past_busy_elsewhere_or_too_long_is_not_offered() -> None:
    noon = datetime.combine(NEXT_MONDAY, time(12), STELLA.location.tz)
    elsewhere = Taken(OTHER, OTHER, "albany", "chair-1", "provider-1", "anna", noon, noon + 3 * HOUR)
    calendar = calendar_of(elsewhere)
    found = first_seats(
        calendar, STELLA, "ketamine_induction", NEXT_MONDAY, 1, noon, 99, minutes=120, patient_id="anna"
    )
    assert [f"{STELLA.location.local(one.starts_at):%H:%M}" for one in found] == [
        f"{hour}:{quarter:02}" for hour in (15, 16) for quarter in (0, 15, 30, 45)
    ] + ["17:00"]
