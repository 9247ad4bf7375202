"""Texts are put on the ladder once, swept away when they are wanted no more, and wanted again."""

import pytest

from services.reminders.text.text import TextState
from shared.contract.booking import (
    SessionEvent,
)
from shared.contract.closed_sets import ReleaseReason, SuppressedReason, TextKind
from shared.contract.reminders import TextSuppressed
from tests.facts.booking import (
    course_accepted,
    session_cancelled,
    session_checked_in,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_unconfirmed,
)
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, NOW, start
from tests.stand_ins.reminders_story import PRE_VISIT, WAITING, K, listed, told


def test_a_course_that_goes_on_after_its_end_is_evaluated_at_its_second_end() -> None:
    story = listed()
    story.hear(session_completed(1), start(1) + HOUR)
    story.hear(session_missed(2), start(2) + HOUR)
    first_end = story.text(K.EVALUATION).nominal_at
    again = start(2) + 7 * DAY
    story.hear(session_confirmed(2, version=4, starts_at=again, grant=1), start(2) + DAY)
    assert story.text(K.EVALUATION).state is TextState.SUPPRESSED
    story.hear(
        session_completed(2, version=5, starts_at=again, started_at=again, ended_at=again + HOUR),
        again,
    )

    evaluation = story.text(K.EVALUATION)
    assert evaluation.state is WAITING
    assert evaluation.nominal_at == again + HOUR + 2 * DAY > first_end


@pytest.mark.parametrize(
    ("event", "told_instead"),
    [
        (session_cancelled(), [K.CANCELLED]),
        (session_released(1, ReleaseReason.OVERDUE, grant=1, version=3), [K.RELEASED]),
        (session_unconfirmed(), []),
        (session_missed(), []),
        (session_checked_in(), []),
    ],
    ids=["cancelled", "released", "unconfirmed", "missed", "checked in"],
)
def test_whatever_ends_an_appointment_takes_its_waiting_texts_back(
    event: SessionEvent, told_instead: list[TextKind]
) -> None:
    story = told(contact_updated(), course_accepted(1), session_confirmed(1))

    gone = story.hear(event, NOW + HOUR)

    assert {e.kind for e in gone if isinstance(e, TextSuppressed)} == {K.BOOKED, *PRE_VISIT}
    assert {e.reason for e in gone if isinstance(e, TextSuppressed)} == {SuppressedReason.SUPERSEDED}
    assert story.kinds(WAITING) == told_instead


def test_a_text_that_went_out_is_not_planned_again_for_the_same_appointment() -> None:
    story = told(contact_updated(), course_accepted(1), session_confirmed(1))
    story.attempted(K.PREPARATION)

    story.hear(session_confirmed(1, version=3), NOW + HOUR)

    assert story.kinds(WAITING) == [K.BOOKED, K.DAY_BEFORE, K.DAY_OF]
