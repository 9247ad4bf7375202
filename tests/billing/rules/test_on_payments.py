"""Money that came, money that left, and an insurer's denial: each counts once, and what is odd goes to a person."""

import pytest

from services.billing.account import ledger
from shared.contract.billing import PaymentRejected, PrepaymentWithdrawn, RefundSettled
from shared.contract.closed_sets import Basis, Method
from tests.facts.booking import course_accepted, insured, session_cancelled, session_confirmed
from tests.facts.clinic import charged_back, denied, payment_captured, payment_reversed
from tests.facts.course import COURSE, HOUR, NOW, session_id
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_events import kinds, withdrawn
from tests.stand_ins.billing_story import Story


def test_a_denial_goes_to_a_person_each_time(story: Story) -> None:
    story.hear_all(insured(1), denied("a"), denied("a"), denied("b"))
    assert [(item.kind, item.subject) for item in story.attention] == [
        ("authorization_denied", "authorization 1"),
        ("authorization_denied", "authorization 2"),
    ]


def test_a_payment_told_twice_counts_once(story: Story) -> None:
    story.hear_all(course_accepted(2), payment_captured(PRICE))
    assert story.hear(payment_captured(PRICE)) == []
    assert len(story.account.payments) == 1


@pytest.mark.parametrize(
    "other", [{"amount_cents": PRICE - 1}, {"method": Method.CASH}, {"captured_at": NOW + HOUR}], ids=str
)
def test_a_payment_id_with_other_content_is_refused_and_shown(story: Story, other: dict[str, object]) -> None:
    story.hear_all(course_accepted(2), payment_captured(PRICE))
    (refusal,) = story.hear(payment_captured(PRICE).model_copy(update=other))
    assert isinstance(refusal, PaymentRejected)
    assert refusal.code == "conflicting_repeat"
    assert [item.kind for item in story.attention] == ["conflicting_payment"]


def test_a_payment_id_of_another_course_is_refused(story: Story) -> None:
    story.hear(payment_captured(PRICE))
    elsewhere = Story()
    elsewhere.known = story.known
    other = payment_captured(PRICE).model_copy(update={"course_id": session_id(9)})
    elsewhere.account = elsewhere.account.__class__(session_id(9))
    (refusal,) = elsewhere.hear(other)
    assert isinstance(refusal, PaymentRejected)
    assert elsewhere.account.balance_cents == 0


def test_another_currency_is_refused_and_may_be_told_right_afterwards(story: Story) -> None:
    (refusal,) = story.hear(payment_captured(PRICE, currency="EUR"))
    assert isinstance(refusal, PaymentRejected)
    assert refusal.code == "unknown_currency"
    assert kinds(story.hear(payment_captured(PRICE))) == ["payment.recorded"]


def test_a_refund_is_settled_in_parts_and_told_once(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1), session_cancelled(1))
    (refund,) = story.account.refunds
    assert story.hear(payment_reversed(1000, refund.refund_id)) == []
    assert story.hear(payment_reversed(1000, refund.refund_id)) == []  # the same again
    (settled,) = story.hear(payment_reversed(PRICE - 1000, refund.refund_id, id="rev-2"))
    assert settled == RefundSettled(course_id=COURSE, refund_id=refund.refund_id)
    assert story.attention == []


def test_more_than_a_refund_going_back_is_shown(story: Story) -> None:
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1), session_cancelled(1))
    (refund,) = story.account.refunds
    (settled,) = story.hear(payment_reversed(PRICE + 1, refund.refund_id))
    assert isinstance(settled, RefundSettled)
    assert [item.kind for item in story.attention] == ["reversal"]


def test_money_that_leaves_by_itself_is_shown_and_booked_where_the_balance_covers_it(story: Story) -> None:
    story.hear_all(
        course_accepted(2),
        payment_captured(PRICE + 100),
        payment_reversed(100, None),
        payment_reversed(100, None, id="rev-2"),
    )
    assert [item.subject for item in story.attention] == ["rev-1", "rev-2"]
    assert story.account.balance_cents == 0
    assert story.share(1).prepaid_cents == PRICE


def test_the_balance_pays_for_a_chargeback_before_any_session(paid_story: Story) -> None:
    paid_story.hear(payment_captured(600, "pay-2"))
    assert withdrawn(paid_story.hear(charged_back(500))) == []
    assert (paid_story.account.disputed_cents, paid_story.account.balance_cents) == (0, 100)


def test_a_chargeback_of_money_that_is_owed_back_settles_what_is_owed(paid_story: Story) -> None:
    paid_story.hear(session_cancelled(2))
    (settled,) = paid_story.hear(charged_back(PRICE))
    assert isinstance(settled, RefundSettled)
    assert paid_story.share(1).basis is Basis.PAID
    assert [item.kind for item in paid_story.attention] == ["reversal"]


def test_a_chargeback_of_more_than_was_paid_books_what_was(paid_story: Story) -> None:
    paid_story.hear(charged_back(5 * PRICE))
    assert paid_story.account.disputed_cents == 2 * PRICE
    assert ledger.credit(paid_story.account.unposted, "cash:card") == 0


def test_a_chargeback_told_ten_times_is_one(paid_story: Story) -> None:
    for _ in range(10):
        paid_story.hear(charged_back(PRICE))
    assert len(paid_story.events_of(PrepaymentWithdrawn)) == 1
    assert [item.kind for item in paid_story.attention] == ["reversal"]
