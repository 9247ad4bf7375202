"""Which days are read before a batch is decided: every day that one of its messages may look at."""

from collections.abc import Sequence
from datetime import date

import pytest

from services.booking.rules.days_needed import sought
from shared.contract.register import EventData
from shared.decision.message import Message
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, prepayment_withdrawn, pricing_rejected
from tests.facts.clinic import (
    course_requested,
    patient_checked_in,
    session_cancel_requested,
    session_reschedule_requested,
)
from tests.facts.course import COURSE, DAY, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import PLACES, STELLA, room
from tests.stand_ins.booking_story import Story, accepted, closure, confirmed, names

UNPRICED = pricing_rejected()


def days(story: Story, *batch: EventData) -> list[tuple[str, date]]:
    """The days of locations that a batch looks at."""
    messages = [Message(f"m{n}", one.type, "", story.now, story.now, one) for n, one in enumerate(batch)]
    return sorted({(one.place.name, one.day) for one in sought(PLACES, story.courses, messages)})


def of(*numbers: int) -> list[tuple[str, date]]:
    """The days of the course's sessions."""
    return [("stella", STELLA.location.local(start(number)).date()) for number in numbers]


def test_most_messages_look_at_no_day() -> None:
    story = accepted(2)
    assert (
        days(
            story,
            prepayment_satisfied(1),
            prepayment_satisfied(2),
            patient_checked_in(1),
            prepayment_withdrawn(1),
            session_cancel_requested(1),
        )
        == []
    )
    assert days(story, prepayment_overdue(1), patient_checked_in(1)) == []


def test_a_request_looks_at_its_days_and_a_move_at_the_new_one() -> None:
    story = accepted(2)
    assert days(Story(), course_requested(3)) == of(1, 2, 3)
    assert days(story, session_reschedule_requested(1, start(4))) == of(4)


def test_a_closure_looks_at_all_its_days() -> None:
    wish = closure(ends=closure().starts_at + 2 * DAY)
    assert [(place, day) for place, day in days(Story(), wish)][:2] == [of(1)[0], ("stella", of(1)[0][1] + DAY)]


@pytest.mark.parametrize("release", [[prepayment_overdue(1)], [UNPRICED]], ids=["overdue", "unpriced"])
def test_money_looks_at_the_day_of_a_session_that_is_released_in_the_same_batch(release: list[EventData]) -> None:
    story = accepted(2, room(1))
    assert days(story, *release, prepayment_satisfied(1)) == of(1)
    assert days(story, prepayment_satisfied(1)) == []
    told = names(story.tell_together(*release, prepayment_satisfied(1)))
    assert told[-1] == "session.confirmed"


def test_money_for_a_session_that_was_released_and_taken_in_the_same_batch_finds_it_taken() -> None:
    story = accepted(1, room(1))
    told = names(story.tell_together(prepayment_overdue(1), course_requested(1, OTHER), prepayment_satisfied(1)))
    assert told == ["session.released", "course.closed", "course.accepted", "session.released"]


def rejected() -> Story:
    story = Story()
    story.tell(course_requested(1, location="nowhere"))
    return story


@pytest.mark.parametrize("story", [Story(), rejected()], ids=["unknown", "rejected"])
def test_a_move_looks_where_the_course_is_requested_in_the_same_batch(story: Story) -> None:
    assert days(story, course_requested(1), session_reschedule_requested(1, start(4))) == of(1, 4)
    elsewhere = course_requested(1, location="carbondale")
    batch: Sequence[EventData] = (
        course_requested(1, location="nowhere"),
        elsewhere,
        session_reschedule_requested(1, start(4)),
    )
    assert {place for place, _ in days(story, *batch)} == {"carbondale"}
    assert names(story.tell_together(*batch))[-2:] == ["course.accepted", "session.rescheduled"]


def test_what_waits_for_a_course_looks_along_when_it_is_requested() -> None:
    story = Story()
    story.tell(session_reschedule_requested(1, start(4)))
    assert days(story, course_requested(1)) == of(1, 4)
    assert names(story.tell(course_requested(1))) == ["course.accepted", "session.rescheduled"]


def test_a_session_that_nobody_has_looks_at_nothing() -> None:
    story = confirmed(1)
    assert (
        days(
            story,
            prepayment_satisfied(1).model_copy(update={"session_id": session_id(9)}),
            prepayment_overdue(1, OTHER),
        )
        == []
    )
    assert str(COURSE) in story.courses
    assert story.now == NOW
