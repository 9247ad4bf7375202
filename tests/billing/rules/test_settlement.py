"""Money goes to what given sessions owe, then to sessions in order of their start, whole shares only."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.billing import PaymentRecorded, PrepaymentOverdue, PrepaymentSatisfied, RefundDue
from shared.contract.closed_sets import Basis, ReleaseReason
from tests.facts.booking import (
    course_accepted,
    insured,
    insured_since,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_released,
)
from tests.facts.clinic import approved, course_requested, payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, day, session_id, start
from tests.stand_ins.billed_clinics import COPAY, PRICE, SELF
from tests.stand_ins.billing_events import granted, kinds
from tests.stand_ins.billing_story import Story


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 3 * PRICE), min_size=1, max_size=6), st.booleans())
def test_shares_are_given_whole_in_order_and_never_more_than_the_money(amounts: list[int], course_first: bool) -> None:
    story = Story()
    if course_first:
        story.hear(course_accepted(6, package="six"))
    for number, amount in enumerate(amounts):
        story.hear(payment_captured(amount, f"pay-{number}"))
    if not course_first:
        story.hear(course_accepted(6, package="six"))
    given_cents = [s.prepaid_cents for s in story.account.shares]
    assert all(s.prepaid_cents in (0, s.price_cents) for s in story.account.shares)
    assert sum(given_cents) + story.account.balance_cents == sum(amounts)
    for of_one_price in ([s for s in story.account.shares if s.price_cents == cents] for cents in (57917, 57916)):
        paid_for = [s.prepaid_cents > 0 for s in of_one_price]
        assert paid_for == sorted(paid_for, reverse=True)
    assert all(s.price_cents > story.account.balance_cents for s in story.account.shares if s.basis is None)
    assert story.events_of(RefundDue) == []
    assert story.now == NOW


def test_one_that_waits_for_cover_holds_up_nobody_behind_it(story: Story) -> None:
    story.hear_all(insured(2), approved(valid_from=day(2)))
    assert granted(story.hear(payment_captured(COPAY))) == [(2, Basis.INSURED, COPAY)]


def test_one_that_costs_nothing_waits_for_nobodys_money(story: Story) -> None:
    story.hear_all(insured(2), approved("a", valid_through=day(1)))
    assert granted(story.hear(approved("b", valid_from=day(2), copay_cents=0))) == [(2, Basis.INSURED, 0)]


def test_money_goes_to_sessions_in_order_whole_shares_only(story: Story) -> None:
    story.hear(course_accepted(3))
    first = story.hear(payment_captured(PRICE + 100))
    assert first == [
        PaymentRecorded(course_id=COURSE, payment_id="pay-1", amount_cents=PRICE + 100, unallocated_cents=100),
        PrepaymentSatisfied(course_id=COURSE, session_id=session_id(1), grant=1, basis=Basis.PAID, amount_cents=PRICE),
    ]
    second = story.hear(payment_captured(2 * PRICE - 100, "pay-2"))
    assert kinds(second) == ["payment.recorded", "prepayment.satisfied", "prepayment.satisfied"]
    assert story.account.balance_cents == 0
    assert story.timers == {}


def test_money_that_came_before_its_course_is_put_to_use_when_it_comes(story: Story) -> None:
    assert kinds(story.hear(payment_captured(PRICE))) == ["payment.recorded"]
    assert story.timers == {("course", ""): NOW + DAY}
    events = story.hear(course_accepted(2))
    assert kinds(events) == ["prepayment.required", "prepayment.required", "prepayment.satisfied"]
    assert set(story.timers) == {("due", str(session_id(2)))}


def test_what_does_not_suffice_for_one_session_passes_on_to_the_next_that_it_pays_whole(story: Story) -> None:
    story.hear(course_accepted(6, package="six"))
    (_, granted) = story.hear(payment_captured(57916))  # numbers 5 and 6 cost that, the others a cent more
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(5)
    assert kinds(story.hear(payment_captured(57915, "pay-2"))) == ["payment.recorded"]
    assert story.account.balance_cents == 57915


def test_money_that_does_not_pay_for_what_was_given_pays_for_what_is_held(story: Story) -> None:
    story.hear_all(course_accepted(3, "spray"), approved(), session_completed(1))
    story.hear(insured_since(3))
    story.hear(payment_captured(COPAY))
    assert [(share.price_cents, share.basis) for share in story.account.shares] == [
        (SELF, None),
        (COPAY, Basis.INSURED),
        (COPAY, None),
    ]
    story.hear(payment_captured(SELF, "pay-2"))
    assert [share.basis for share in story.account.shares] == [Basis.PAID, Basis.INSURED, None]


def test_late_money_tries_to_get_the_released_place_again(story: Story) -> None:
    story.hear(course_accepted(1))
    story.until(start(1) - 2 * DAY)
    story.hear(session_released(1, ReleaseReason.OVERDUE))
    assert kinds(story.hear(payment_captured(PRICE))) == ["payment.recorded", "prepayment.satisfied"]
    story.hear(session_confirmed(1))
    assert story.account.refunds == ()
    assert story.share(1).prepaid_cents == PRICE


def test_money_goes_to_held_sessions_and_those_released_for_want_of_money_in_order_of_their_start(
    story: Story,
) -> None:
    story.hear_all(course_accepted(3, hold_expires_at=start(1)))
    story.until(start(1) - 2 * DAY)
    story.hear(session_released(1, ReleaseReason.OVERDUE))
    assert [e.session_id for e in story.hear(payment_captured(PRICE)) if isinstance(e, PrepaymentSatisfied)] == [
        session_id(1)
    ]
    more = story.hear(payment_captured(2 * PRICE, "pay-2"))
    assert [e.session_id for e in more if isinstance(e, PrepaymentSatisfied)] == [session_id(2), session_id(3)]


@pytest.mark.parametrize("reason", [ReleaseReason.SLOT_TAKEN, ReleaseReason.WITHDRAWN])
def test_no_money_goes_to_a_place_that_is_gone_for_good(story: Story, reason: ReleaseReason) -> None:
    story.hear_all(course_accepted(1), session_released(1, reason))
    assert kinds(story.hear(payment_captured(PRICE))) == ["payment.recorded", "refund.due"]


@pytest.mark.parametrize("timer_first", [True, False], ids=["no outage", "outage"])
def test_money_after_the_deadline_is_late_even_if_the_timer_had_to_wait(timer_first: bool) -> None:
    story = Story()
    story.hear(course_accepted(2, hold_expires_at=start(1)))
    deadline = start(1) - 2 * DAY
    if timer_first:
        story.until(deadline)
    money = story.hear(payment_captured(2 * PRICE), deadline + HOUR)
    if not timer_first:
        assert kinds(money) == ["payment.recorded", "prepayment.satisfied"]
        assert money[0] == PaymentRecorded(
            course_id=COURSE, payment_id="pay-1", amount_cents=2 * PRICE, unallocated_cents=PRICE
        )
    story.until(deadline + 2 * HOUR)
    assert [e.session_id for e in story.events_of(PrepaymentOverdue)] == [session_id(1)]
    told_in_order = [1, 2] if timer_first else [2, 1]  # its deadline was heard of after the money
    assert [e.session_id for e in story.events_of(PrepaymentSatisfied)] == [session_id(n) for n in told_in_order]
    assert story.share(1).overdue
    assert story.account.balance_cents == 0


@pytest.mark.parametrize("timer_first", [True, False], ids=["no outage", "outage"])
def test_what_a_late_session_will_get_goes_to_no_later_one_while_its_timer_waits(timer_first: bool) -> None:
    story = Story()
    story.hear(course_accepted(2, hold_expires_at=start(1)))
    deadline = start(1) - 2 * DAY
    if timer_first:
        story.until(deadline)
    story.hear(payment_captured(PRICE), deadline + HOUR)
    story.until(deadline + 2 * HOUR)
    assert [e.session_id for e in story.events_of(PrepaymentSatisfied)] == [session_id(1)]


def test_money_of_the_last_moment_is_in_time(story: Story) -> None:
    story.hear(course_accepted(1))
    story.hear(payment_captured(PRICE), start(1) - 2 * DAY)
    assert story.until(start(1)) == []
    assert story.share(1).basis is Basis.PAID


def test_the_share_of_a_cancelled_session_pays_for_one_that_waits(story: Story) -> None:
    story.hear_all(course_accepted(2), payment_captured(PRICE), session_confirmed(1))
    (granted,) = story.hear(session_cancelled(1))
    assert isinstance(granted, PrepaymentSatisfied)
    assert granted.session_id == session_id(2)


@pytest.mark.parametrize("release_first", [True, False])
def test_when_the_hold_has_run_out_every_place_is_late_whatever_was_heard_first(release_first: bool) -> None:
    story = Story()
    story.hear(course_accepted(2, hold_expires_at=start(1) - DAY))
    story.until(start(1) - 2 * DAY)
    story.hear(session_released(1, ReleaseReason.OVERDUE))
    after = start(1) - DAY + HOUR
    messages = [session_released(2, ReleaseReason.HOLD_EXPIRED), payment_captured(PRICE)]
    for message in messages if release_first else reversed(messages):
        story.hear(message, after)
    assert [e.session_id for e in story.events_of(PrepaymentSatisfied)] == [session_id(1)]


@pytest.mark.parametrize("arrives", [HOUR, 3 * DAY + HOUR, 8 * DAY + HOUR], ids=["in time", "after the hold", "late"])
def test_money_heard_before_its_course_ends_where_it_would_have_ended_after_it(arrives: timedelta) -> None:
    endings = []
    for course_first in (True, False):
        story = Story()
        messages = [(course_accepted(2), NOW), (payment_captured(PRICE + 1, captured_at=NOW), NOW + arrives)]
        for message, at in messages if course_first else reversed(messages):
            story.hear(message, at)
        story.until(NOW + arrives + HOUR)
        endings.append(story.ending())
    assert endings[0] == endings[1]


def test_an_older_message_heard_later_does_not_make_late_money_early(story: Story) -> None:
    story.hear(course_accepted(1))
    deadline = start(1) - 2 * DAY
    assert kinds(story.hear(payment_captured(PRICE), deadline + HOUR)) == ["payment.recorded"]
    assert story.hear(course_requested(), deadline - HOUR) == []
    assert kinds(story.until(deadline + HOUR)) == ["prepayment.overdue", "prepayment.satisfied"]
