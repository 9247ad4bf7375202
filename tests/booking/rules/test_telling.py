"""What is told with every session: its place's time zone, and who comes along."""

from shared.contract.booking import SessionEvent
from shared.contract.clinic import CourseRequested
from tests.facts.clinic import course_change_requested, course_requested, session_reschedule_requested
from tests.facts.course import HOUR, start
from tests.stand_ins.booking_places import PLACES
from tests.stand_ins.booking_story import Story, confirmed


def test_who_came_along_since_is_told_with_every_move() -> None:
    story = confirmed(1, companions=("therapist",))
    [event] = story.tell(session_reschedule_requested(1, start(1) + HOUR))
    assert isinstance(event, SessionEvent)
    assert event.companions == ("therapist",)
    story.tell(course_change_requested(companions=("driver",)))
    [event] = story.tell(session_reschedule_requested(1, start(1)))
    assert isinstance(event, SessionEvent)
    assert event.companions == ("driver",)


def test_a_place_without_the_patients_zone_tells_its_own_time() -> None:
    """A patient of New York is treated in Chicago: the place's zone is told with every session."""
    story = Story()
    request = CourseRequested.model_validate(course_requested().model_dump() | {"location": "carbondale"})
    [event] = story.tell(request)
    assert {s["time_zone"] for s in event.model_dump()["sessions"]} == {PLACES["carbondale"].location.zone}
