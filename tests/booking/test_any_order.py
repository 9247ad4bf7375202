"""Promises that hold in any order: the same end whichever topic was faster, and one answer to each grant."""

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import cycle, permutations
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.booking.chairs.location import ChairPlan
from services.booking.rules.course import CourseState
from shared.contract.register import EventData
from tests.facts.billing import prepayment_overdue, prepayment_satisfied, prepayment_withdrawn
from tests.facts.clinic import (
    course_cancel_requested,
    course_requested,
    patient_checked_in,
    patient_missed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.facts.course import COURSE, DAY, HOUR, NOW, OTHER, session_id, start
from tests.stand_ins.booking_places import PLACES, room
from tests.stand_ins.booking_story import Story


def orders(story: list[EventData]) -> list[tuple[EventData, ...]]:
    """Every order in which a service can hear a story: what stands on one topic under one key keeps its order."""
    kept = []
    for order in permutations(range(len(story))):
        by_topic: dict[str, list[int]] = defaultdict(list)
        for number in order:
            by_topic[story[number].topic].append(number)
        if all(numbers == sorted(numbers) for numbers in by_topic.values()):
            kept.append(tuple(story[number] for number in order))
    return kept


def end_of(order: tuple[EventData, ...], places: dict[str, ChairPlan] = PLACES) -> object:
    """What is left when all has been heard within the hour before the first session, and time has passed."""
    story = Story(places, now=start(1) - HOUR)
    for event in order:
        story.tell(event)
    story.deliver(start(1) + 60 * DAY)
    course = story.course()
    assert course.waiting == ()
    sessions = [(s.session_id, s.state, s.starts_at, s.ends_at, s.chair, s.grant) for s in course.sessions]
    return course.state, course.request, course.hold_open, sessions


STORIES: dict[str, list[EventData]] = {
    "paid, given, the rest cancelled": [
        course_requested(2), prepayment_satisfied(1), prepayment_satisfied(2), patient_checked_in(1),
        treatment_completed(1), session_cancel_requested(2),
    ],
    "paid, given, the course cancelled": [
        course_requested(2), prepayment_satisfied(1), patient_checked_in(1), treatment_completed(1),
        course_cancel_requested(), prepayment_satisfied(2),
    ],
    "one moved, one missed": [
        course_requested(2), session_reschedule_requested(2, start(2) + HOUR), prepayment_satisfied(1),
        prepayment_satisfied(2), patient_missed(1),
    ],
    "taken back and paid again": [
        course_requested(1), prepayment_satisfied(1), prepayment_withdrawn(1),
        prepayment_satisfied(1, grant=2), patient_checked_in(1), treatment_completed(1),
    ],
    "released and paid after all": [
        course_requested(2), prepayment_satisfied(1), prepayment_overdue(2), prepayment_satisfied(2),
        patient_checked_in(1), treatment_completed(1),
    ],
    "cancelled although it was given": [
        course_requested(1), prepayment_satisfied(1), treatment_completed(1), course_cancel_requested(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_every_order_across_topics_reaches_the_same_end(name: str) -> None:
    heard = orders(STORIES[name])
    assert len(heard) > 10
    expected = end_of(heard[0])
    for order in heard:
        assert end_of(order) == expected, [event.type for event in order]


COURSES = [COURSE, OTHER]


class _Step(NamedTuple):
    """What happens next to a session of a course; `hours` is how long, or how far."""

    what: str
    number: int
    course: UUID
    hours: int


FACTS: dict[str, Callable[[_Step], EventData]] = {
    "overdue": lambda step: prepayment_overdue(step.number, step.course),
    "check in": lambda step: patient_checked_in(step.number, step.course),
    "complete": lambda step: treatment_completed(step.number, step.course),
    "miss": lambda step: patient_missed(step.number, step.course),
    "cancel one": lambda step: session_cancel_requested(step.number, step.course),
    "cancel all": lambda step: course_cancel_requested(step.course),
    "move": lambda step: session_reschedule_requested(
        step.number, start(step.number) + (step.hours % 50) * HOUR, step.course
    ),
}
STEPS = st.lists(
    st.builds(
        _Step,
        st.sampled_from(["grant"] * 5 + ["withdraw"] * 2 + ["wait", "late", *FACTS]),
        st.integers(1, 3),
        st.sampled_from(COURSES),
        st.integers(0, 200),
    ),
    max_size=30,
)


class _Billing:
    """Numbers grants as billing does: each higher than the last, and withdrawn at most once."""

    def __init__(self) -> None:
        self.given: Counter[tuple[UUID, int]] = Counter()
        self.taken: set[tuple[UUID, int, int]] = set()

    def grant(self, number: int, course: UUID) -> EventData:
        self.given[course, number] += 1
        return prepayment_satisfied(number, self.given[course, number], course)

    def withdraw(self, number: int, course: UUID) -> EventData | None:
        last = self.given[course, number]
        if last == 0 or (course, number, last) in self.taken:
            return None
        self.taken.add((course, number, last))
        return prepayment_withdrawn(number, last, course)


def _event(billing: _Billing, step: _Step) -> EventData | None:
    """What is told; nothing where time passes, or where there is no grant to take back."""
    match step.what:
        case "grant":
            return billing.grant(step.number, step.course)
        case "withdraw":
            return billing.withdraw(step.number, step.course)
        case "wait" | "late":
            return None
        case fact:
            return FACTS[fact](step)


def _take(story: Story, billing: _Billing, step: _Step) -> None:
    if step.what == "wait":
        story.deliver(story.now + step.hours * HOUR)
    elif step.what == "late":  # heard before the timers that fell due meanwhile are delivered
        story.now += step.hours * HOUR
    elif (event := _event(billing, step)) is not None:
        story.tell(event)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, sizes=st.lists(st.integers(1, 8), min_size=1), chairs=st.integers(1, 2), first=st.integers(0, 12))
def test_messages_of_one_batch_are_decided_as_if_each_came_alone(
    steps: list[_Step], sizes: list[int], chairs: int, first: int
) -> None:
    """A batch reads its calendar once: what its messages do to each other, the calendar must know."""
    alone, together, billing = Story(room(chairs)), Story(room(chairs)), _Billing()
    events = [event for step in steps if (event := _event(billing, step)) is not None]
    events[first:first] = [course_requested(3), course_requested(3, OTHER)]
    for size in cycle(sizes):
        batch, events = events[:size], events[size:]
        told = [answer for event in batch for answer in alone.tell(event)]
        assert together.tell_together(*batch) == told
        assert together.courses == alone.courses
        if not events:
            break


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, chairs=st.integers(1, 2), first=st.integers(0, 30))
def test_whatever_happens_each_grant_has_one_answer_and_no_chair_two_patients(
    steps: list[_Step], chairs: int, first: int
) -> None:
    """Versions, transitions and double bookings are checked by the story after every message."""
    story, billing = Story(room(chairs)), _Billing()
    for count, step in enumerate(steps):
        if count == first:
            story.tell(course_requested(3))
        if count == first // 2:
            story.tell(course_requested(3, OTHER))
        _take(story, billing, step)
    for course in COURSES:  # those that nobody requested yet
        if str(course) not in story.courses or story.course(course).state is CourseState.AWAITED:
            story.now = min(story.now, NOW)
            story.tell(course_requested(3, course))
    story.deliver(NOW + 200 * DAY)
    for course in COURSES:
        assert story.course(course).waiting == ()
    decided = {str(course) for course in COURSES if story.course(course).state is not CourseState.REJECTED}
    given = {
        (session_id(number, course), grant)
        for (course, number), last in billing.given.items()
        for grant in range(1, last + 1)
        if str(course) in decided
    }
    taken = {(session_id(n, course), grant) for course, n, grant in billing.taken if str(course) in decided}
    assert story.grants == Counter(given)
    assert story.withdrawals == Counter(taken)
