"""What was satisfied is taken back: refunds that were asked for, chargebacks, and booking's answers to both."""

from collections.abc import Callable

import pytest

from services.billing.account import ledger
from services.billing.account.messages import NotAllowed
from shared.contract.billing import (
    PrepaymentSatisfied,
    PrepaymentWithdrawn,
)
from shared.contract.closed_sets import (
    Basis,
    RefundReason,
    ReleaseReason,
    SessionState,
    WithdrawalReason,
)
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
    session_withdrawal_refused,
)
from tests.facts.clinic import charged_back, payment_captured, payment_reversed
from tests.facts.course import DAY, HOUR, NOW, session_id, start
from tests.facts.wishes import refund_requested
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_events import kinds, promised, withdrawn
from tests.stand_ins.billing_story import Story


def test_an_answer_to_a_withdrawal_that_was_never_asked_for_goes_to_a_person(story: Story) -> None:
    story.hear_all(
        course_accepted(2),
        payment_captured(2 * PRICE),
        session_confirmed(1),
        session_confirmed(2),
        session_unconfirmed(1),
        session_withdrawal_refused(2),
    )
    assert [item.kind for item in story.attention] == ["unexpected_withdrawal_answer"] * 2
    assert story.share(1).prepaid_cents == story.share(2).prepaid_cents == PRICE


def test_a_refund_of_a_session_goes_out_after_booking_gave_the_grant_back(paid_story: Story) -> None:
    asked = paid_story.hear(refund_requested(2))
    assert withdrawn(asked) == [(session_id(2), 1, WithdrawalReason.REFUND)]
    assert promised(asked) == []
    assert paid_story.share(2).prepaid_cents == PRICE
    answered = paid_story.hear(session_unconfirmed(2))
    assert kinds(answered) == ["refund.due", "prepayment.required"]
    assert promised(answered) == [(PRICE, RefundReason.REQUESTED)]
    assert paid_story.share(2).basis is None
    assert paid_story.share(1).basis is Basis.PAID


def test_a_session_whose_money_went_back_has_grace_again_and_is_due_again(paid_story: Story) -> None:
    paid_story.hear(refund_requested(1))
    paid_story.hear(session_unconfirmed(1), start(1) - 30 * HOUR)
    assert paid_story.share(1).due_at == start(1) - 6 * HOUR
    assert kinds(paid_story.until(start(1) - 6 * HOUR)) == ["prepayment.overdue"]


def test_new_money_for_a_session_that_was_held_again_is_the_next_grant(paid_story: Story) -> None:
    paid_story.hear_all(refund_requested(2), session_unconfirmed(2))
    (granted,) = [e for e in paid_story.hear(payment_captured(PRICE, "pay-2")) if isinstance(e, PrepaymentSatisfied)]
    assert (granted.session_id, granted.grant) == (session_id(2), 2)


def test_a_refund_that_comes_after_the_check_in_moves_no_money(paid_story: Story) -> None:
    paid_story.hear(refund_requested(1))
    assert paid_story.hear(session_withdrawal_refused(1)) == []
    assert paid_story.share(1).prepaid_cents == PRICE
    assert [item.kind for item in paid_story.attention] == ["withdrawal_refused"]
    with pytest.raises(NotAllowed):
        paid_story.hear(refund_requested(1))
    paid_story.hear(session_completed(1))
    assert ledger.credit(paid_story.account.unposted, ledger.REVENUE) == PRICE


@pytest.mark.parametrize(
    ("end", "state"),
    [(session_cancelled, SessionState.CANCELLED), (session_missed, SessionState.MISSED)],
    ids=["cancelled", "missed"],
)
def test_a_session_that_ends_while_its_grant_is_asked_back_is_refunded_all_the_same(
    paid_story: Story, end: Callable[[int], EventData], state: SessionState
) -> None:
    paid_story.hear(refund_requested(1))
    assert paid_story.hear(end(1)) == []
    assert paid_story.share(1).prepaid_cents == PRICE
    assert promised(paid_story.hear(session_withdrawal_refused(1, state=state))) == [(PRICE, RefundReason.REQUESTED)]
    assert paid_story.attention == []


def test_a_session_released_while_its_grant_is_asked_back_waits_for_the_answer(paid_story: Story) -> None:
    paid_story.hear(refund_requested(1))
    assert paid_story.hear(session_released(1, ReleaseReason.WITHDRAWN, grant=1)) == []
    assert promised(paid_story.hear(session_withdrawal_refused(1, state=SessionState.RELEASED))) == [
        (PRICE, RefundReason.REQUESTED)
    ]


def test_a_session_that_was_missed_and_moved_meanwhile_waits_for_money_again(paid_story: Story) -> None:
    paid_story.hear_all(refund_requested(1), session_missed(1), session_rescheduled(1, starts_at=start(5)))
    assert paid_story.share(1).prepaid_cents == PRICE
    events = paid_story.hear(session_withdrawal_refused(1, state=SessionState.HELD))
    assert kinds(events) == ["refund.due", "prepayment.required"]
    assert paid_story.share(1).awaits_deadline


def test_a_refund_waits_for_the_answer_to_a_grant_on_its_way() -> None:
    for answer in (session_confirmed(1), session_released(1, ReleaseReason.SLOT_TAKEN, grant=1)):
        story = Story()
        story.hear_all(course_accepted(2), payment_captured(PRICE))
        assert story.hear(refund_requested(1)) == []
        events = story.hear(answer)
        if answer == session_confirmed(1):
            assert withdrawn(events) == [(session_id(1), 1, WithdrawalReason.REFUND)]
            events = story.hear(session_unconfirmed(1))
        assert promised(events) == [(PRICE, RefundReason.REQUESTED)]
        assert story.share(2).basis is None


def test_a_session_that_began_before_its_grant_was_answered_is_not_asked_back() -> None:
    story = Story()
    story.hear_all(course_accepted(1), payment_captured(PRICE), refund_requested(1), session_completed(1))
    assert story.hear(session_confirmed(1, state=SessionState.COMPLETED)) == []
    assert ledger.credit(story.account.unposted, ledger.REVENUE) == PRICE
    assert [item.kind for item in story.attention] == ["withdrawal_refused"]


def test_a_chargeback_takes_the_latest_session_back_and_goes_to_a_person(paid_story: Story) -> None:
    assert withdrawn(paid_story.hear(charged_back(PRICE))) == [(session_id(2), 1, WithdrawalReason.CHARGEBACK)]
    assert paid_story.account.disputed_cents == PRICE
    assert ledger.credit(paid_story.account.unposted, "cash:card") == -PRICE
    assert kinds(paid_story.hear(session_unconfirmed(2))) == ["prepayment.required"]
    assert (paid_story.account.disputed_cents, paid_story.account.balance_cents) == (0, 0)
    assert [item.kind for item in paid_story.attention] == ["reversal"]


def test_a_chargeback_of_part_of_a_price_takes_the_whole_session_and_leaves_the_rest(paid_story: Story) -> None:
    paid_story.hear_all(charged_back(PRICE + 100), session_unconfirmed(2), session_unconfirmed(1))
    assert (paid_story.account.disputed_cents, paid_story.account.balance_cents) == (0, PRICE - 100)
    assert paid_story.share(1).basis is None


def test_a_chargeback_after_the_check_in_stays_open_until_other_money_comes(paid_story: Story) -> None:
    paid_story.hear_all(session_completed(1), charged_back(PRICE))
    assert withdrawn(paid_story.hear(session_withdrawal_refused(2))) == []
    assert paid_story.account.disputed_cents == PRICE
    assert [item.kind for item in paid_story.attention] == ["reversal", "withdrawal_refused"]
    paid_story.hear(payment_captured(PRICE + 1, "pay-2"))
    assert (paid_story.account.disputed_cents, paid_story.account.balance_cents) == (0, 1)


def test_a_chargeback_that_the_chair_refuses_takes_another_session_instead(paid_story: Story) -> None:
    paid_story.hear(charged_back(PRICE))
    assert withdrawn(paid_story.hear(session_withdrawal_refused(2))) == [
        (session_id(1), 1, WithdrawalReason.CHARGEBACK)
    ]


def test_what_booking_once_refused_to_give_back_is_not_asked_for_again(paid_story: Story) -> None:
    paid_story.hear_all(
        charged_back(2 * PRICE),
        session_withdrawal_refused(2, state=SessionState.CONFIRMED),
        session_withdrawal_refused(1, state=SessionState.CONFIRMED),
    )
    paid_story.hear(charged_back(PRICE, id="rev-2"))
    assert len(paid_story.events_of(PrepaymentWithdrawn)) == 2
    with pytest.raises(NotAllowed):
        paid_story.hear(refund_requested(1))


def test_money_that_came_meanwhile_satisfies_the_session_anew(paid_story: Story) -> None:
    paid_story.hear_all(charged_back(2 * PRICE), payment_captured(2 * PRICE, "pay-2"))
    assert paid_story.account.disputed_cents == 0
    events = paid_story.hear_all(session_unconfirmed(1), session_unconfirmed(2))
    granted = [e for e in events if isinstance(e, PrepaymentSatisfied)]
    assert [(e.session_id, e.grant) for e in granted] == [(session_id(1), 2), (session_id(2), 2)]


def test_a_chargeback_overtakes_a_refund_that_was_asked_for(paid_story: Story) -> None:
    paid_story.hear_all(refund_requested(2), charged_back(2 * PRICE), session_unconfirmed(2), session_unconfirmed(1))
    assert promised(paid_story.events) == []
    assert (paid_story.account.disputed_cents, paid_story.account.balance_cents) == (0, 0)


def test_a_refund_made_without_being_asked_for_takes_the_session_back(paid_story: Story) -> None:
    assert withdrawn(paid_story.hear(payment_reversed(PRICE))) == [(session_id(2), 1, WithdrawalReason.REFUND)]


def test_a_cancelled_session_makes_up_for_a_chargeback(paid_story: Story) -> None:
    paid_story.hear_all(charged_back(PRICE), session_cancelled(1))
    assert paid_story.account.disputed_cents == 0
    events = paid_story.hear(session_unconfirmed(2, reason=WithdrawalReason.CHARGEBACK))
    assert [e.session_id for e in events if isinstance(e, PrepaymentSatisfied)] == [session_id(2)]


def test_late_in_the_day_everything_is_settled(paid_story: Story) -> None:
    """Refund, its settling in parts, a chargeback of the rest: cash is what is left in the end."""
    paid_story.hear_all(refund_requested(2), session_unconfirmed(2))
    (refund,) = paid_story.account.refunds
    paid_story.hear_all(
        payment_reversed(1, refund.refund_id), payment_reversed(PRICE - 1, refund.refund_id, id="rev-2")
    )
    paid_story.hear_all(charged_back(PRICE, id="rev-3"), session_unconfirmed(1))
    assert paid_story.until(start(2) + DAY)  # overdue, and nothing left to give back
    assert ledger.credit(paid_story.account.unposted, "cash:card") == 0
    assert (paid_story.account.balance_cents, paid_story.account.disputed_cents) == (0, 0)
    assert paid_story.now > NOW
