"""What was satisfied is taken back: refunds that were asked for, chargebacks, and booking's answers to both."""

from uuid import UUID

import pytest

from services.billing.account import ledger
from services.billing.account.messages import RefundRequested, Refused
from shared.contract.billing import PrepaymentSatisfied, PrepaymentWithdrawn, RefundDue, RefundSettled
from shared.contract.booking import SessionCancelled, SessionCompleted, SessionMissed, SessionRescheduled
from shared.contract.closed_sets import Basis, RefundReason, Refusal, ReleaseReason, SessionState, WithdrawalReason
from shared.contract.register import EventData
from tests.billing_story import (
    DAY,
    HOUR,
    PRICE,
    T0,
    Story,
    accepted,
    charged_back,
    confirmed,
    kept,
    kinds,
    paid,
    please,
    released,
    reversed_,
    session_id,
    starts_at,
    told,
    unconfirmed,
)

S = SessionState
REFUND, CHARGEBACK = WithdrawalReason.REFUND, WithdrawalReason.CHARGEBACK


@pytest.fixture
def story() -> Story:
    """Two sessions, paid and confirmed."""
    story = Story()
    story.hear_all(accepted(2), paid(2 * PRICE), confirmed(1), confirmed(2))
    return story


def taken_back(events: list[EventData]) -> list[tuple[UUID, int, WithdrawalReason]]:
    return [(e.session_id, e.grant, e.reason) for e in events if isinstance(e, PrepaymentWithdrawn)]


def promised(events: list[EventData]) -> list[tuple[int, RefundReason]]:
    return [(e.amount_cents, e.reason) for e in events if isinstance(e, RefundDue)]


def test_a_refund_of_a_session_goes_out_after_booking_gave_the_grant_back(story: Story) -> None:
    asked = story.hear(please(2))
    assert taken_back(asked) == [(session_id(2), 1, REFUND)]
    assert promised(asked) == []
    assert story.share(2).prepaid_cents == PRICE
    answered = story.hear(unconfirmed(2))
    assert kinds(answered) == ["refund.due", "prepayment.required"]
    assert promised(answered) == [(PRICE, RefundReason.REQUESTED)]
    assert story.share(2).basis is None
    assert story.share(1).basis is Basis.PAID


def test_a_session_whose_money_went_back_has_grace_again_and_is_due_again(story: Story) -> None:
    story.hear(please(1))
    story.hear(unconfirmed(1), starts_at(1) - 30 * HOUR)
    assert story.share(1).due_at == starts_at(1) - 6 * HOUR
    assert kinds(story.until(starts_at(1) - 6 * HOUR)) == ["prepayment.overdue"]


def test_new_money_for_a_session_that_was_held_again_is_the_next_grant(story: Story) -> None:
    story.hear_all(please(2), unconfirmed(2))
    (granted,) = [e for e in story.hear(paid(PRICE, "pay-2")) if isinstance(e, PrepaymentSatisfied)]
    assert (granted.session_id, granted.grant) == (session_id(2), 2)


def test_a_refund_that_comes_after_the_check_in_moves_no_money(story: Story) -> None:
    story.hear(please(1))
    assert story.hear(kept(1)) == []
    assert story.share(1).prepaid_cents == PRICE
    assert [item.kind for item in story.attention] == ["withdrawal_refused"]
    with pytest.raises(Refused):
        story.hear(please(1))
    story.hear(told(SessionCompleted, 1))
    assert ledger.credit(story.account.unposted, ledger.REVENUE) == PRICE


@pytest.mark.parametrize(
    ("end", "state"), [(SessionCancelled, S.CANCELLED), (SessionMissed, S.MISSED)], ids=["cancelled", "missed"]
)
def test_a_session_that_ends_while_its_grant_is_asked_back_is_refunded_all_the_same(
    story: Story, end: type[SessionCancelled | SessionMissed], state: S
) -> None:
    story.hear(please(1))
    assert story.hear(told(end, 1)) == []
    assert story.share(1).prepaid_cents == PRICE
    assert promised(story.hear(kept(1, state=state))) == [(PRICE, RefundReason.REQUESTED)]
    assert story.attention == []


def test_a_session_released_while_its_grant_is_asked_back_waits_for_the_answer(story: Story) -> None:
    story.hear(please(1))
    assert story.hear(released(1, ReleaseReason.WITHDRAWN, grant=1)) == []
    assert promised(story.hear(kept(1, state=S.RELEASED))) == [(PRICE, RefundReason.REQUESTED)]


def test_a_session_that_was_missed_and_moved_meanwhile_waits_for_money_again(story: Story) -> None:
    story.hear_all(please(1), told(SessionMissed, 1), told(SessionRescheduled, 1, at=starts_at(5)))
    assert story.share(1).prepaid_cents == PRICE
    events = story.hear(kept(1, state=S.HELD))
    assert kinds(events) == ["refund.due", "prepayment.required"]
    assert story.share(1).awaits_deadline


def test_the_balance_goes_back_at_once_and_before_any_session(story: Story) -> None:
    story.hear(paid(500, "pay-2"))
    assert promised(story.hear(please(cents=200))) == [(200, RefundReason.REQUESTED)]
    events = story.hear(please(cents=300 + PRICE // 2))
    assert promised(events) == [(300, RefundReason.REQUESTED)]
    assert taken_back(events) == [(session_id(2), 1, REFUND)]
    assert promised(story.hear(unconfirmed(2))) == [(PRICE // 2, RefundReason.REQUESTED)]
    assert story.account.balance_cents == PRICE - PRICE // 2


def test_all_that_is_unused_goes_back_and_nothing_that_was_given(story: Story) -> None:
    story.hear(told(SessionCompleted, 1))
    assert taken_back(story.hear(please())) == [(session_id(2), 1, REFUND)]
    assert promised(story.hear(unconfirmed(2))) == [(PRICE, RefundReason.REQUESTED)]
    with pytest.raises(Refused):
        story.hear(please())


def test_a_refund_waits_for_the_answer_to_a_grant_on_its_way() -> None:
    for answer in (confirmed(1), released(1, ReleaseReason.SLOT_TAKEN, grant=1)):
        story = Story()
        story.hear_all(accepted(2), paid(PRICE))
        assert story.hear(please(1)) == []
        events = story.hear(answer)
        if answer == confirmed(1):
            assert taken_back(events) == [(session_id(1), 1, REFUND)]
            events = story.hear(unconfirmed(1))
        assert promised(events) == [(PRICE, RefundReason.REQUESTED)]
        assert story.share(2).basis is None


def test_a_session_that_began_before_its_grant_was_answered_is_not_asked_back() -> None:
    story = Story()
    story.hear_all(accepted(1), paid(PRICE), please(1), told(SessionCompleted, 1))
    assert story.hear(confirmed(1, state=S.COMPLETED)) == []
    assert ledger.credit(story.account.unposted, ledger.REVENUE) == PRICE
    assert [item.kind for item in story.attention] == ["withdrawal_refused"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (please(3), Refusal.UNKNOWN_SESSION),
        (please(cents=2 * PRICE + 1), Refusal.WRONG_STATE),
        (please(1, cents=5), Refusal.WRONG_STATE),
    ],
    ids=["no such session", "more than there is", "both"],
)
def test_a_refund_of_what_is_not_there_is_refused(story: Story, wish: RefundRequested, code: Refusal) -> None:
    with pytest.raises(Refused) as refused:
        story.hear(wish)
    assert refused.value.code is code


def test_a_refund_asked_for_twice_is_one_refund(story: Story) -> None:
    story.hear(please(2))
    with pytest.raises(Refused):
        story.hear(please(2))
    story.hear(unconfirmed(2))
    with pytest.raises(Refused):
        story.hear(please(2))
    assert promised(story.events) == [(PRICE, RefundReason.REQUESTED)]


def test_a_chargeback_takes_the_latest_session_back_and_goes_to_a_person(story: Story) -> None:
    assert taken_back(story.hear(charged_back(PRICE))) == [(session_id(2), 1, CHARGEBACK)]
    assert story.account.disputed_cents == PRICE
    assert ledger.credit(story.account.unposted, "cash:card") == -PRICE
    assert kinds(story.hear(unconfirmed(2))) == ["prepayment.required"]
    assert (story.account.disputed_cents, story.account.balance_cents) == (0, 0)
    assert [item.kind for item in story.attention] == ["reversal"]


def test_a_chargeback_of_part_of_a_price_takes_the_whole_session_and_leaves_the_rest(story: Story) -> None:
    story.hear_all(charged_back(PRICE + 100), unconfirmed(2), unconfirmed(1))
    assert (story.account.disputed_cents, story.account.balance_cents) == (0, PRICE - 100)
    assert story.share(1).basis is None


def test_the_balance_pays_for_a_chargeback_before_any_session(story: Story) -> None:
    story.hear(paid(600, "pay-2"))
    assert taken_back(story.hear(charged_back(500))) == []
    assert (story.account.disputed_cents, story.account.balance_cents) == (0, 100)


def test_a_chargeback_after_the_check_in_stays_open_until_other_money_comes(story: Story) -> None:
    story.hear_all(told(SessionCompleted, 1), charged_back(PRICE))
    assert taken_back(story.hear(kept(2))) == []
    assert story.account.disputed_cents == PRICE
    assert [item.kind for item in story.attention] == ["reversal", "withdrawal_refused"]
    story.hear(paid(PRICE + 1, "pay-2"))
    assert (story.account.disputed_cents, story.account.balance_cents) == (0, 1)


def test_a_chargeback_that_the_chair_refuses_takes_another_session_instead(story: Story) -> None:
    story.hear(charged_back(PRICE))
    assert taken_back(story.hear(kept(2))) == [(session_id(1), 1, CHARGEBACK)]


def test_what_booking_once_refused_to_give_back_is_not_asked_for_again(story: Story) -> None:
    story.hear_all(charged_back(2 * PRICE), kept(2, state=S.CONFIRMED), kept(1, state=S.CONFIRMED))
    story.hear(charged_back(PRICE, id="rev-2"))
    assert len(story.told(PrepaymentWithdrawn)) == 2
    with pytest.raises(Refused):
        story.hear(please(1))


def test_money_that_came_meanwhile_satisfies_the_session_anew(story: Story) -> None:
    story.hear_all(charged_back(2 * PRICE), paid(2 * PRICE, "pay-2"))
    assert story.account.disputed_cents == 0
    events = story.hear_all(unconfirmed(1), unconfirmed(2))
    granted = [e for e in events if isinstance(e, PrepaymentSatisfied)]
    assert [(e.session_id, e.grant) for e in granted] == [(session_id(1), 2), (session_id(2), 2)]


def test_a_chargeback_of_money_that_is_owed_back_settles_what_is_owed(story: Story) -> None:
    story.hear(told(SessionCancelled, 2))
    (settled,) = story.hear(charged_back(PRICE))
    assert isinstance(settled, RefundSettled)
    assert story.share(1).basis is Basis.PAID
    assert [item.kind for item in story.attention] == ["reversal"]


def test_a_chargeback_of_more_than_was_paid_books_what_was(story: Story) -> None:
    story.hear(charged_back(5 * PRICE))
    assert story.account.disputed_cents == 2 * PRICE
    assert ledger.credit(story.account.unposted, "cash:card") == 0


def test_a_chargeback_told_ten_times_is_one(story: Story) -> None:
    for _ in range(10):
        story.hear(charged_back(PRICE))
    assert len(story.told(PrepaymentWithdrawn)) == 1
    assert [item.kind for item in story.attention] == ["reversal"]


def test_a_chargeback_overtakes_a_refund_that_was_asked_for(story: Story) -> None:
    story.hear_all(please(2), charged_back(2 * PRICE), unconfirmed(2), unconfirmed(1))
    assert promised(story.events) == []
    assert (story.account.disputed_cents, story.account.balance_cents) == (0, 0)


def test_a_refund_made_without_being_asked_for_takes_the_session_back(story: Story) -> None:
    assert taken_back(story.hear(reversed_(PRICE))) == [(session_id(2), 1, REFUND)]


def test_a_cancelled_session_makes_up_for_a_chargeback(story: Story) -> None:
    story.hear_all(charged_back(PRICE), told(SessionCancelled, 1))
    assert story.account.disputed_cents == 0
    events = story.hear(unconfirmed(2, reason=CHARGEBACK))
    assert [e.session_id for e in events if isinstance(e, PrepaymentSatisfied)] == [session_id(2)]


def test_late_in_the_day_everything_is_settled(story: Story) -> None:
    """Refund, its settling in parts, a chargeback of the rest: cash is what is left in the end."""
    story.hear_all(please(2), unconfirmed(2))
    (refund,) = story.account.refunds
    story.hear_all(reversed_(1, refund.refund_id), reversed_(PRICE - 1, refund.refund_id, id="rev-2"))
    story.hear_all(charged_back(PRICE, id="rev-3"), unconfirmed(1))
    assert story.until(starts_at(2) + DAY)  # overdue, and nothing left to give back
    assert ledger.credit(story.account.unposted, "cash:card") == 0
    assert (story.account.balance_cents, story.account.disputed_cents) == (0, 0)
    assert story.now > T0
