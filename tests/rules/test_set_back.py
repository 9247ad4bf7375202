"""A database that was set back hears answers to what it has not said, and its own words as news."""

from services.billing.account.account import Stage
from services.reminders.text.text import TextState
from shared.contract.billing import PrepaymentSatisfied
from shared.contract.booking import SessionCompleted, SessionConfirmed
from shared.contract.closed_sets import SessionState, SuppressedReason, TextKind
from shared.contract.reminders import ConsentChanged, TextSent, TextSuppressed
from tests import billing_story as billing
from tests.reminders_story import (
    COURSE_ID,
    DAY,
    MONDAY,
    PATIENT,
    Story,
    accepted,
    contact,
    required,
    satisfied,
    session_event,
)


def test_what_pays_after_bookings_answer_is_answered() -> None:
    story = billing.Story()
    story.hear_all(billing.accepted(2), billing.confirmed(1))
    assert [item.kind for item in story.attention] == ["unknown_grant"]
    granted = [e for e in story.hear(billing.paid(billing.PRICE)) if isinstance(e, PrepaymentSatisfied)]
    assert [(e.session_id, e.grant) for e in granted] == [(billing.session_id(1), 1)]
    share = story.share(1)
    assert (share.state, share.granted, share.answered) == (SessionState.CONFIRMED, 1, 1)
    assert not share.unanswered, "booking answers each grant once"


def test_the_next_grant_waits_for_its_answer_as_ever() -> None:
    story = billing.Story()
    story.hear_all(billing.accepted(2), billing.confirmed(1), billing.paid(2 * billing.PRICE))
    assert story.share(2).unanswered


def test_a_treatment_given_meanwhile_is_paid_by_the_money_that_is_heard_late() -> None:
    story = billing.Story()
    story.hear_all(billing.accepted(1), billing.confirmed(1), billing.told(SessionCompleted, 1))
    story.hear(billing.paid(billing.PRICE))
    assert story.account.stage is Stage.PRICED
    assert story.account.balance_cents == 0
    assert not story.share(1).owing


def sent(story: Story, kind: TextKind) -> TextSent:
    text = story.text(kind)
    return TextSent(
        text_id=text.text_id,
        contact_id=text.contact_id,
        course_id=COURSE_ID,
        session_id=text.session_id,
        kind=kind,
        due_at=text.due_at,
        sent_at=MONDAY,
        segments=1,
    )


def test_a_text_that_we_told_as_sent_is_sent_and_planned_no_more() -> None:
    story = Story()
    story.hear(contact())
    story.hear(accepted(1))
    story.hear(required(1))
    assert story.hear(sent(story, TextKind.PAYMENT_DUE)) == [], "it is not told again"
    text = story.text(TextKind.PAYMENT_DUE)
    assert (text.state, text.recalled_at) == (TextState.SENT, MONDAY)
    assert text.sent_on is not None, "no other payment text goes out that day"
    assert story.hear(satisfied(1)) == [], "what was sent is not swept away"


def test_a_text_that_we_told_as_suppressed_stays_so() -> None:
    story = Story()
    story.hear(contact())
    story.hear(accepted(1))
    story.hear(session_event(SessionConfirmed, 1, SessionState.CONFIRMED, 2, None, grant=1))
    told = TextSuppressed(
        **sent(story, TextKind.BOOKED).model_dump(exclude={"sent_at", "segments"}), reason=SuppressedReason.NO_CONSENT
    )
    assert story.hear(told) == []
    assert story.text(TextKind.BOOKED).reason is SuppressedReason.NO_CONSENT


def test_an_opt_out_that_only_we_know_of_counts_and_is_not_told_again() -> None:
    story = Story()
    story.hear(contact(recorded_at=MONDAY - DAY))
    assert story.hear(ConsentChanged(contact_id=PATIENT, allowed=False, source="text")) == []
    assert not story.contacts[PATIENT].allowed
    assert story.contacts[PATIENT].opted_out
    assert story.hear(contact(recorded_at=MONDAY - DAY, wording="form-2"), MONDAY + DAY) == [], "an older yes"
    assert not story.contacts[PATIENT].allowed
