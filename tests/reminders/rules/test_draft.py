"""Texts are put on the ladder once, swept away when they are wanted no more, and wanted again."""

from typing import Any

import pytest

from services.reminders.text.text import TextState
from shared.contract.booking import (
    SessionCancelled,
    SessionCheckedIn,
    SessionCompleted,
    SessionConfirmed,
    SessionEvent,
    SessionMissed,
    SessionReleased,
    SessionUnconfirmed,
)
from shared.contract.closed_sets import By, ReleaseReason, SessionState, SuppressedReason, TextKind, WithdrawalReason
from shared.contract.reminders import TextSuppressed
from tests.facts.booking import course_accepted, session_completed, session_confirmed, session_event
from tests.facts.clinic import contact
from tests.facts.texted_course import DAY, HOUR, MONDAY, start_of
from tests.stand_ins.reminders_story import PRE_VISIT, WAITING, K, listed, told


def test_a_course_that_goes_on_after_its_end_is_evaluated_at_its_second_end() -> None:
    story = listed()
    story.hear(session_completed(1), start_of(1) + HOUR)
    story.hear(session_event(SessionMissed, 2, SessionState.MISSED, 3), start_of(2) + HOUR)
    first_end = story.text(K.EVALUATION).nominal_at
    again = start_of(2) + 7 * DAY
    story.hear(session_event(SessionConfirmed, 2, SessionState.CONFIRMED, 4, again, grant=1), start_of(2) + DAY)
    assert story.text(K.EVALUATION).state is TextState.SUPPRESSED
    story.hear(
        session_event(SessionCompleted, 2, SessionState.COMPLETED, 5, again, started_at=again, ended_at=again + HOUR),
        again,
    )

    evaluation = story.text(K.EVALUATION)
    assert evaluation.state is WAITING
    assert evaluation.nominal_at == again + HOUR + 2 * DAY > first_end


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
    story = told(contact(), course_accepted(1), session_confirmed(1))

    gone = story.hear(session_event(event, 1, state, 3, **more), MONDAY + HOUR)

    assert {e.kind for e in gone if isinstance(e, TextSuppressed)} == {K.BOOKED, *PRE_VISIT}
    assert {e.reason for e in gone if isinstance(e, TextSuppressed)} == {SuppressedReason.SUPERSEDED}
    assert story.kinds(WAITING) == told_instead


def test_a_text_that_went_out_is_not_planned_again_for_the_same_appointment() -> None:
    story = told(contact(), course_accepted(1), session_confirmed(1))
    story.attempted(K.PREPARATION)

    story.hear(session_confirmed(1, version=3), MONDAY + HOUR)

    assert story.kinds(WAITING) == [K.BOOKED, K.DAY_BEFORE, K.DAY_OF]
