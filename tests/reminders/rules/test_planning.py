"""What each fact means for a course's texts: planned anew, not known yet, or recalled from our own words."""

from services.reminders.text.text import TextState
from shared.contract.closed_sets import By, SessionState, SuppressedReason, TextKind
from shared.contract.reminders import TextSent, TextSuppressed
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.booking import (
    course_accepted,
    session_cancelled,
    session_confirmed,
    session_rescheduled,
)
from tests.facts.clinic import contact_updated
from tests.facts.course import COURSE, DAY, HOUR, NOW, start
from tests.stand_ins.reminders_story import PRE_VISIT, WAITING, Story, told


def test_a_move_takes_the_old_texts_back_and_plans_those_of_the_new_time() -> None:
    story = told(contact_updated(), course_accepted(1), session_confirmed(1))
    later = start(1) + 2 * DAY

    story.hear(
        session_rescheduled(
            1, starts_at=later, state=SessionState.CONFIRMED, previous_starts_at=start(1), by=By.PATIENT
        ),
        NOW + HOUR,
    )

    waiting = [t for t in story.texts(WAITING) if t.kind in PRE_VISIT]
    assert [t.nominal_at for t in waiting] == [later - 72 * HOUR, later - 24 * HOUR, later - 2 * HOUR]
    assert {t.session_version for t in waiting} == {3}
    assert len(story.texts(TextState.SUPPRESSED)) == 3


def test_an_older_version_of_a_session_changes_nothing() -> None:
    story = told(contact_updated(), course_accepted(1), session_cancelled(1, by=By.CLINIC))
    before = story.course

    assert story.hear(session_confirmed(1, version=2)) == []
    assert story.course is before


def test_a_course_that_booking_never_tells_of_goes_to_a_person() -> None:
    story = told(prepayment_required(1))
    story.fall_due("unknown_course", NOW + DAY)

    assert [what.kind for what in story.attention] == ["unknown_course"]


def test_a_course_at_a_location_that_nobody_serves_goes_to_a_person_and_gets_no_texts() -> None:
    story = told(contact_updated(), course_accepted(1, location="elsewhere"), prepayment_required(1))

    assert [what.kind for what in story.attention] == ["unknown_location"]
    assert story.texts() == []


def sent(story: Story, kind: TextKind) -> TextSent:
    text = story.text(kind)
    return TextSent(
        text_id=text.text_id,
        contact_id=text.contact_id,
        course_id=COURSE,
        session_id=text.session_id,
        kind=kind,
        due_at=text.due_at,
        sent_at=NOW,
        segments=1,
    )


def test_a_text_that_we_told_as_sent_is_sent_and_planned_no_more() -> None:
    story = Story()
    story.hear(contact_updated())
    story.hear(course_accepted(1))
    story.hear(prepayment_required(1))
    assert story.hear(sent(story, TextKind.PAYMENT_DUE)) == [], "it is not told again"
    text = story.text(TextKind.PAYMENT_DUE)
    assert (text.state, text.recalled_at) == (TextState.SENT, NOW)
    assert text.sent_on is not None, "no other payment text goes out that day"
    assert story.hear(prepayment_satisfied(1)) == [], "what was sent is not swept away"


def test_a_text_that_we_told_as_suppressed_stays_so() -> None:
    story = Story()
    story.hear(contact_updated())
    story.hear(course_accepted(1))
    story.hear(session_confirmed(1, grant=1))
    told = TextSuppressed(
        **sent(story, TextKind.BOOKED).model_dump(exclude={"sent_at", "segments"}), reason=SuppressedReason.NO_CONSENT
    )
    assert story.hear(told) == []
    assert story.text(TextKind.BOOKED).reason is SuppressedReason.NO_CONSENT
