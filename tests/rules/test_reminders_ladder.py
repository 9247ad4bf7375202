"""Which texts a course gets, and which it gets no more."""

from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from services.reminders.rules.decide import HEARS
from services.reminders.text.text import TextState
from shared.contract.billing import PrepaymentOverdue
from shared.contract.booking import (
    CourseAccepted,
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionRescheduled,
    SessionUnconfirmed,
)
from shared.contract.clinic import ContactUpdated
from shared.contract.closed_sets import By, ReleaseReason, SessionState, SuppressedReason, TextKind, WithdrawalReason
from shared.contract.register import EventData
from shared.contract.reminders import TextSuppressed
from tests.reminders_story import (
    COURSE_ID,
    DAY,
    HOUR,
    MONDAY,
    PATIENT,
    Story,
    accepted,
    contact,
    plan_of,
    required,
    satisfied,
    session_event,
    session_id,
    starts_at,
)

K = TextKind
PRE_VISIT = [K.PREPARATION, K.DAY_BEFORE, K.DAY_OF]
WAITING = TextState.SCHEDULED


def confirmed(number: int = 1, version: int = 2, start: datetime | None = None) -> SessionEvent:
    return session_event(SessionConfirmed, number, SessionState.CONFIRMED, version, start, grant=1)


def told(*events: EventData) -> Story:
    story = Story()
    for event in events:
        story.hear(event)
    return story


def test_the_first_confirmation_plans_the_list_of_dates_and_the_ladder() -> None:
    story = told(contact(), accepted(1, 2), confirmed(1))

    assert story.kinds() == [K.BOOKED, *PRE_VISIT]
    start = starts_at(1)
    assert [t.nominal_at for t in story.texts()][1:] == [start - 72 * HOUR, start - 24 * HOUR, start - 2 * HOUR]
    assert {t.session_version for t in story.texts() if t.kind in PRE_VISIT} == {2}
    assert {t.contact_id for t in story.texts()} == {PATIENT}


def test_a_second_confirmation_lists_the_dates_no_second_time() -> None:
    story = told(contact(), accepted(1, 2), confirmed(1), confirmed(2))

    assert story.kinds().count(K.BOOKED) == 1
    assert story.kinds().count(K.DAY_OF) == 2


def test_nothing_is_planned_while_a_session_is_only_held() -> None:
    assert told(contact(), accepted(1, 2)).texts() == []


def test_a_session_confirmed_late_gets_the_texts_that_still_make_sense() -> None:
    """Of what should have gone out already the last is still of use: it makes up for what came before it."""
    for hours, kinds in [
        (73, [K.BOOKED, K.PREPARATION, K.DAY_BEFORE, K.DAY_OF]),
        (30, [K.PREPARATION, K.BOOKED, K.DAY_BEFORE, K.DAY_OF]),
        (20, [K.DAY_BEFORE, K.BOOKED, K.DAY_OF]),
        (3, [K.BOOKED, K.DAY_OF]),
        (1, [K.DAY_OF, K.BOOKED]),
        (0.25, [K.BOOKED]),
    ]:
        story, now = told(contact(), accepted(1)), starts_at(1) - hours * HOUR
        story.hear(confirmed(1), now)

        assert story.kinds() == kinds, hours
        assert all(text.due_at >= now for text in story.texts())


@pytest.mark.parametrize(
    ("event", "state", "more", "told_instead"),
    [
        (SessionCancelled, SessionState.CANCELLED, {"by": By.PATIENT}, [K.CANCELLED]),
        (SessionReleased, SessionState.RELEASED, {"grant": 1, "reason": ReleaseReason.OVERDUE}, [K.RELEASED]),
        (SessionUnconfirmed, SessionState.HELD, {"grant": 1, "reason": WithdrawalReason.REFUND}, []),
        (SessionMissed, SessionState.MISSED, {}, []),
        (SessionCheckedIn, SessionState.CHECKED_IN, {}, []),
    ],
)
def test_whatever_ends_an_appointment_takes_its_waiting_texts_back(
    event: type[SessionEvent], state: SessionState, more: dict[str, Any], told_instead: list[TextKind]
) -> None:
    story = told(contact(), accepted(1), confirmed(1))

    gone = story.hear(session_event(event, 1, state, 3, **more), MONDAY + HOUR)

    assert {e.kind for e in gone if isinstance(e, TextSuppressed)} == {K.BOOKED, *PRE_VISIT}
    assert {e.reason for e in gone if isinstance(e, TextSuppressed)} == {SuppressedReason.SUPERSEDED}
    assert story.kinds(WAITING) == told_instead


def test_a_move_takes_the_old_texts_back_and_plans_those_of_the_new_time() -> None:
    story = told(contact(), accepted(1), confirmed(1))
    later = starts_at(1) + 2 * DAY

    story.hear(
        session_event(
            SessionRescheduled, 1, SessionState.CONFIRMED, 3, later, previous_starts_at=starts_at(1), by=By.PATIENT
        ),
        MONDAY + HOUR,
    )

    waiting = [t for t in story.texts(WAITING) if t.kind in PRE_VISIT]
    assert [t.nominal_at for t in waiting] == [later - 72 * HOUR, later - 24 * HOUR, later - 2 * HOUR]
    assert {t.session_version for t in waiting} == {3}
    assert len(story.texts(TextState.SUPPRESSED)) == 3


def test_a_text_that_went_out_is_not_planned_again_for_the_same_appointment() -> None:
    story = told(contact(), accepted(1), confirmed(1))
    story.attempted(K.PREPARATION)

    story.hear(confirmed(1, version=3), MONDAY + HOUR)

    assert story.kinds(WAITING) == [K.BOOKED, K.DAY_BEFORE, K.DAY_OF]


def test_an_older_version_of_a_session_changes_nothing() -> None:
    story = told(contact(), accepted(1), session_event(SessionCancelled, 1, SessionState.CANCELLED, 3, by=By.CLINIC))
    before = story.course

    assert story.hear(confirmed(1, version=2)) == []
    assert story.course is before


def test_the_end_of_a_treatment_plans_after_care() -> None:
    story = told(contact(), accepted(1, 2), confirmed(1))
    story.attempted(K.BOOKED)
    ended = starts_at(1) + HOUR

    story.hear(
        session_event(SessionCompleted, 1, SessionState.COMPLETED, 4, started_at=starts_at(1), ended_at=ended), ended
    )

    assert story.kinds(WAITING) == [K.AFTER_CARE, K.NEXT_DAY]
    assert story.text(K.AFTER_CARE).nominal_at == ended + 2 * HOUR
    assert story.text(K.NEXT_DAY).nominal_at == ended + 20 * HOUR


def test_six_demands_of_one_day_make_one_payment_text() -> None:
    story = told(contact(), accepted(*range(1, 7)), *(required(n) for n in range(1, 7)))

    assert story.kinds() == [K.PAYMENT_DUE]
    assert story.text(K.PAYMENT_DUE).due_at == MONDAY


def test_a_demand_of_the_next_day_makes_a_text_of_its_own() -> None:
    story = told(contact(), accepted(1, 2), required(1))
    story.hear(required(2), MONDAY + DAY)

    assert story.kinds() == [K.PAYMENT_DUE, K.PAYMENT_DUE]


def test_the_payment_text_is_taken_back_only_when_nothing_is_left_to_pay() -> None:
    story = told(contact(), accepted(1, 2), required(1), required(2))

    story.hear(satisfied(1))
    assert story.kinds(WAITING) == [K.PAYMENT_DUE]
    story.hear(satisfied(2))
    assert story.texts(WAITING) == []


def test_what_became_overdue_is_not_asked_for() -> None:
    story = told(contact(), accepted(1), required(1))
    story.hear(
        PrepaymentOverdue(course_id=COURSE_ID, session_id=session_id(1), amount_cents=57917, due_at=MONDAY + DAY)
    )

    assert story.texts(WAITING) == []


def test_a_new_demand_on_the_same_day_wants_the_text_back_that_was_taken_back() -> None:
    story = told(contact(), accepted(1, 2), required(1), satisfied(1), required(2))

    assert story.kinds(WAITING) == [K.PAYMENT_DUE]


def test_what_billing_tells_before_booking_waits_with_a_deadline() -> None:
    story = told(required(1))

    assert story.texts() == []
    assert story.timers["unknown_course"].due_at == MONDAY + DAY
    story.hear(accepted(1))
    assert story.kinds() == [K.PAYMENT_DUE]
    assert story.timers["unknown_course"].due_at is None


def test_a_course_that_booking_never_tells_of_goes_to_a_person() -> None:
    story = told(required(1))
    story.fall_due("unknown_course", MONDAY + DAY)

    assert [what.kind for what in story.attention] == ["unknown_course"]


def test_a_course_at_a_location_that_nobody_serves_goes_to_a_person_and_gets_no_texts() -> None:
    story = told(contact(), accepted(1, location="elsewhere"), required(1))

    assert [what.kind for what in story.attention] == ["unknown_location"]
    assert story.texts() == []


def test_any_order_across_topics_reaches_the_same_end() -> None:
    cancelled = session_event(SessionCancelled, 1, SessionState.CANCELLED, 3, by=By.PATIENT)
    booking: list[EventData] = [accepted(1, 2, 3), confirmed(1), confirmed(2), cancelled]
    billing: list[EventData] = [required(1), required(2), required(3), satisfied(1), satisfied(2)]
    times = {id(event): MONDAY + timedelta(seconds=n) for n, event in enumerate([*booking, *billing])}
    ends = set()
    for places in combinations(range(9), 4):
        for person_at in range(0, 10, 3):
            story = Story()
            first, second = iter(booking), iter(billing)
            order = [next(first) if n in places else next(second) for n in range(9)]
            order.insert(person_at, contact(time_zone="America/New_York", region="US-CT"))
            for event in order:
                story.hear(event, times.get(id(event), MONDAY))
            assert story.course is not None
            ends.add((frozenset(plan_of(story.texts())), story.course.owed, story.course.waiting))

    assert len(ends) == 1


def test_it_hears_what_the_ladder_stands_on() -> None:
    assert set(HEARS) == {"booking.events", "billing.events", "clinic.contacts"}
    assert CourseAccepted.type in HEARS["booking.events"]
    assert HEARS["clinic.contacts"] == {ContactUpdated.type, "chairtime.person.erased"}
