"""A course that cannot be held as it was wished: every conflict is named, with other times for each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import pytest

from services.booking.chairs.location import Place
from shared.contract.booking import CourseRejected
from shared.contract.clinic import CourseRequested, RecordOnFile
from shared.contract.closed_sets import Refusal
from tests.booking_story import COURSE, DAY, HOUR, NOW, OTHER, PLACES, STELLA, Story, names, requested, room, session_id

TEN = datetime.fromisoformat("2026-03-10T10:00-05:00")
"""A Tuesday in Chicago."""


def wish(*starts: datetime, course: UUID = COURSE, **told: object) -> CourseRequested:
    sessions = tuple({"session_id": session_id(n, course), "starts_at": at} for n, at in enumerate(starts, start=1))
    return requested(course=course, sessions=sessions, **told)


def refusal(request: CourseRequested, story: Story | None = None) -> CourseRejected:
    [event] = (story or Story()).tell(request)
    assert isinstance(event, CourseRejected)
    return event


def shown(event: CourseRejected, place: Place = STELLA) -> dict[int, list[str]]:
    """Other times by the number of the wish, as the clock on the wall shows them."""
    numbers = {session_id(n): n for n in range(1, 10)}
    return {
        numbers[one.session_id]: [f"{place.location.local(at):%a %d %H:%M}" for at in one.starts_at]
        for one in event.alternatives or ()
    }


def taken_at(*starts: datetime, places: dict[str, Place] | None = None) -> Story:
    """A story in which somebody has the only chair, each time another patient."""
    story = Story(places or room(1))
    for number, at in enumerate(starts, start=50):
        request = wish(at, course=UUID(int=number), patient_id=f"x{number}")
        assert names(story.tell(request)) == ["course.accepted"]
    return story


def test_three_times_near_the_wish_are_named_the_nearest_first() -> None:
    event = refusal(wish(TEN), taken_at(TEN))
    assert [(c.session_id, c.code) for c in event.conflicts] == [(session_id(1), Refusal.CHAIR_TAKEN)]
    assert shown(event) == {1: ["Tue 10 08:15", "Tue 10 11:45", "Tue 10 08:00"]}


def test_each_of_the_named_times_is_accepted_in_place_of_the_wish() -> None:
    event = refusal(wish(TEN, TEN + 2 * DAY), taken_at(TEN, TEN + 2 * DAY))
    assert event.alternatives is not None
    first, second = (one.starts_at for one in event.alternatives)
    for one in first:
        for other in second:
            story = taken_at(TEN, TEN + 2 * DAY)
            assert names(story.tell(wish(one, other))) == ["course.accepted"]


def test_every_conflict_is_named_with_times_of_its_own_and_the_rest_is_not() -> None:
    event = refusal(wish(TEN, TEN + 2 * DAY, TEN + 7 * DAY), taken_at(TEN, TEN + 7 * DAY))
    assert [c.session_id for c in event.conflicts] == [session_id(1), session_id(3)]
    assert list(shown(event)) == [1, 3]
    assert event.code is Refusal.CHAIR_TAKEN


def test_a_wish_on_a_closed_day_gets_times_on_the_days_around_it() -> None:
    saturday = TEN + 4 * DAY
    event = refusal(wish(saturday))
    assert event.code is Refusal.CLOSED
    assert shown(event) == {1: ["Fri 13 17:15", "Fri 13 17:00", "Fri 13 16:45"]}


def test_a_wish_too_close_to_another_gets_times_far_enough_from_it() -> None:
    event = refusal(wish(TEN, TEN + 3 * HOUR))
    assert event.code is Refusal.TOO_CLOSE
    assert shown(event) == {2: ["Wed 11 10:00", "Wed 11 10:15", "Wed 11 10:30"]}


def test_a_wish_too_far_from_another_gets_times_near_enough() -> None:
    event = refusal(wish(TEN, TEN + 11 * DAY, TEN + 20 * DAY))
    assert [(c.session_id, c.code) for c in event.conflicts][:2] == [
        (session_id(2), Refusal.TOO_FAR),
        (session_id(2), Refusal.CLOSED),
    ]
    for at in shown(event)[2]:
        assert at.startswith("Fri 20")


def test_a_wish_in_the_past_gets_times_to_come() -> None:
    event = refusal(wish(NOW - HOUR))
    assert event.code is Refusal.IN_PAST
    assert shown(event)[1] == ["Mon 02 09:15", "Mon 02 09:30", "Mon 02 09:45"]


def test_where_a_day_is_full_nothing_is_made_up() -> None:
    hours = STELLA.location.hours[0].model_copy(update={"closes": STELLA.location.hours[0].opens.replace(hour=10)})
    place = replace(room(1)["stella"], location=STELLA.location.model_copy(update={"hours": (hours,)}))
    at = TEN - 2 * HOUR
    event = refusal(wish(at), taken_at(at, places=PLACES | {"stella": place}))
    assert (event.code, event.alternatives) == (Refusal.CHAIR_TAKEN, None)


def test_what_no_other_time_would_mend_names_none() -> None:
    event = refusal(wish(TEN, location="sturges"))
    assert [c.code for c in event.conflicts] == [Refusal.COMPANION_MISSING]
    assert event.alternatives is None


@pytest.mark.parametrize(
    ("recorded_on", "codes"),
    [
        (None, [Refusal.RECORD_MISSING]),
        (date(2026, 3, 11), [Refusal.RECORD_MISSING]),
        (date(2026, 3, 10), []),
    ],
)
def test_spravato_needs_the_enrolment_before_the_first_dose(recorded_on: date | None, codes: Sequence[Refusal]) -> None:
    records = [RecordOnFile(kind="rems_enrolment", recorded_on=recorded_on)] if recorded_on else []
    story = Story()
    [event] = story.tell(wish(TEN, treatment="spravato", location="albany", records=records))
    assert [c.code for c in getattr(event, "conflicts", ())] == codes


def test_spravato_is_two_hours_on_site_even_where_less_is_asked() -> None:
    records = [RecordOnFile(kind="rems_enrolment", recorded_on=date(2026, 3, 1))]
    story = Story()
    story.tell(wish(TEN, treatment="spravato", location="albany", records=records, minutes=60))
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
    [event] = Story().tell(wish(*starts, treatment=treatment, location="albany"))
    assert [c.code for c in getattr(event, "conflicts", ())] == codes


def test_a_treatment_is_given_on_its_weekdays_only() -> None:
    tms = PLACES["albany"].protocols["tms"].model_copy(update={"weekdays": ("mon", "wed")})
    place = replace(PLACES["albany"], protocols={"tms": tms})
    event = refusal(wish(TEN, treatment="tms", location="albany"), Story(PLACES | {"albany": place}))
    assert event.code is Refusal.CLOSED


def test_a_companion_opens_the_door_where_one_is_mandatory() -> None:
    story = Story()
    assert names(story.tell(wish(TEN, location="sturges", companions=("therapist",)))) == ["course.accepted"]
    assert story.told[-1].model_dump()["companions"] == ("therapist",)


def test_a_session_id_that_belongs_to_another_course_gets_no_other_time() -> None:
    story = taken_at()
    story.tell(wish(TEN, course=OTHER))
    taken = {"session_id": session_id(1, OTHER), "starts_at": TEN + 3 * DAY}
    event = refusal(requested(sessions=(taken,)), story)
    assert (event.code, event.alternatives) == (Refusal.COURSE_EXISTS, None)
