"""Booking and billing are heard in any order, with the same end."""

from datetime import timedelta
from itertools import combinations

from shared.contract.register import EventData
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.booking import course_accepted, session_cancelled, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import NOW
from tests.stand_ins.reminders_story import Story, plan_of


def test_any_order_across_topics_reaches_the_same_end() -> None:
    booking: list[EventData] = [
        course_accepted(3),
        session_confirmed(1),
        session_confirmed(2),
        session_cancelled(),
    ]
    billing: list[EventData] = [
        prepayment_required(1),
        prepayment_required(2),
        prepayment_required(3),
        prepayment_satisfied(1),
        prepayment_satisfied(2),
    ]
    times = {id(event): NOW + timedelta(seconds=n) for n, event in enumerate([*booking, *billing])}
    ends = set()
    for places in combinations(range(9), 4):
        for person_at in range(0, 10, 3):
            story = Story()
            first, second = iter(booking), iter(billing)
            order = [next(first) if n in places else next(second) for n in range(9)]
            order.insert(person_at, contact_updated(time_zone="America/New_York", region="US-CT"))
            for event in order:
                story.hear(event, times.get(id(event), NOW))
            assert story.course is not None
            ends.add((frozenset(plan_of(story.texts())), story.course.owed, story.course.waiting))

    assert len(ends) == 1
