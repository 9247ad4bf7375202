"""What satisfies a session: by who pays and what is approved, by an authorization's dates, count and copay."""

from collections.abc import Callable
from typing import Any

import pytest

from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.billing import PrepaymentOverdue, PrepaymentSatisfied, PrepaymentWithdrawn
from shared.contract.closed_sets import Basis, Needs, Payer, ReleaseReason, SessionState, WithdrawalReason
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    insured,
    insured_since,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
)
from tests.facts.clinic import approved, denied, payment_captured
from tests.facts.course import DAY, HOUR, day, session_id, start
from tests.facts.wishes import waiver_granted
from tests.stand_ins.billed_clinics import COPAY, PRICE, SELF
from tests.stand_ins.billing_events import COVER, MONEY, asked, granted, kinds
from tests.stand_ins.billing_story import Story

LAPSED = WithdrawalReason.AUTHORIZATION_LAPSED


@pytest.mark.parametrize(
    ("treatment", "payer", "needs", "cents", "basis"),
    [
        ("ketamine_induction", Payer.SELF_PAY, MONEY, PRICE, Basis.PAID),
        ("ketamine_induction", Payer.INSURANCE, MONEY, PRICE, Basis.PAID),
        ("spray", Payer.SELF_PAY, MONEY, SELF, Basis.PAID),
        ("spray", Payer.INSURANCE, COVER, COPAY, Basis.INSURED),
        ("coils", Payer.INSURANCE, COVER, 0, Basis.INSURED),
    ],
)
@pytest.mark.parametrize("facts", [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], ids=str)
def test_what_satisfies(treatment: str, payer: Payer, needs: Needs, cents: int, basis: Basis, facts: list[int]) -> None:
    story = Story()
    told_ = [course_accepted(1, treatment, payer=payer), approved(), payment_captured(cents or 1)]
    events = story.hear_all(*(told_[number] for number in facts))
    assert granted(events) == [(1, basis, cents)]
    if facts[0] == 0:
        assert asked(events)[0] == (1, needs, cents)
    assert story.share(1).prepaid_cents == cents


@pytest.mark.parametrize("payer", [Payer.SELF_PAY, Payer.INSURANCE])
def test_without_money_an_authorization_alone_pays_for_nothing_that_costs_something(story: Story, payer: Payer) -> None:
    assert granted(story.hear_all(course_accepted(1, payer=payer), approved(), approved("other"))) == []


@pytest.mark.parametrize("decision", [None, denied()], ids=["no word yet", "denied"])
def test_without_cover_no_copay_satisfies(story: Story, decision: EventData | None) -> None:
    story.hear(insured(1))
    assert granted(story.hear_all(payment_captured(COPAY), *([decision] if decision else []))) == []
    assert story.account.balance_cents == COPAY
    (late,) = [e for e in story.until(start(1)) if isinstance(e, PrepaymentOverdue)]
    assert (late.amount_cents, late.due_at) == (COPAY, start(1) - 2 * DAY)


def test_an_authorization_known_beforehand_is_put_to_use_at_once(story: Story) -> None:
    events = story.hear_all(approved(sessions=1, copay_cents=0), insured(2))
    assert granted(events) == [(1, Basis.INSURED, 0)]
    assert asked(events) == [(2, COVER, COPAY)]


def test_a_copay_is_asked_for_when_cover_is_there(story: Story) -> None:
    assert asked(story.hear(insured(2))) == [(1, COVER, COPAY), (2, COVER, COPAY)]
    assert asked(story.hear(approved(copay_cents=700))) == [(1, MONEY, 700), (2, MONEY, 700)]
    assert granted(story.hear(payment_captured(1400))) == [(1, Basis.INSURED, 700), (2, Basis.INSURED, 700)]
    assert story.account.balance_cents == 0


@pytest.mark.parametrize(
    ("bounds", "covered"),
    [
        ({}, [1, 2, 3]),
        ({"sessions": 2}, [1, 2]),
        ({"valid_through": day(2)}, [1, 2]),
        ({"valid_through": day(2) - DAY}, [1]),
        ({"valid_from": day(2)}, [2, 3]),
        ({"valid_from": day(2), "sessions": 1}, [2]),
        ({"valid_from": day(3) + DAY}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("course_first", [True, False])
def test_it_covers_by_date_and_count_in_order_of_start(
    bounds: dict[str, Any], covered: list[int], course_first: bool
) -> None:
    story = Story()
    messages = [insured(3), approved(copay_cents=0, **bounds)]
    events = story.hear_all(*(messages if course_first else reversed(messages)))
    assert [number for number, _, _ in granted(events)] == covered
    waiting = [number for number in (1, 2, 3) if number not in covered]
    assert [number for number in (1, 2, 3) if story.share(number).awaits_deadline] == waiting


def test_the_day_is_the_clinics_own(story: Story) -> None:
    late = start(1).replace(hour=3)  # of the day before in Chicago
    sessions = course_accepted(1).sessions[0].model_copy(update={"starts_at": late})
    story.hear(insured(1, sessions=(sessions,)))
    assert granted(story.hear(approved(copay_cents=0, valid_from=late.date()))) == []
    assert granted(story.hear(approved("b", copay_cents=0, valid_through=late.date() - DAY))) == [(1, Basis.INSURED, 0)]


def test_two_authorizations_cover_what_each_alone_would_not(story: Story) -> None:
    story.hear_all(insured(3), approved("a", sessions=1, copay_cents=0))
    events = story.hear(approved("b", valid_from=day(2), valid_through=day(2), copay_cents=0))
    assert [number for number, _, _ in granted(events)] == [2]
    assert asked(events) == []


def test_a_session_beyond_the_cover_says_so_when_it_is_added_not_on_its_day(story: Story) -> None:
    story.hear_all(insured(2), approved(sessions=2, copay_cents=0), session_confirmed(1), session_confirmed(2))
    events = story.hear(insured_since(3))
    assert asked(events) == [(3, COVER, COPAY)]


@pytest.mark.parametrize("end", [session_cancelled, session_missed])
@pytest.mark.parametrize("missed", list(MissedPolicy))
def test_a_session_that_did_not_take_place_uses_no_cover_up(
    end: Callable[[int], EventData], missed: MissedPolicy
) -> None:
    story = Story(Policy(missed=missed))
    story.hear_all(insured(2), approved(sessions=1, copay_cents=0), session_confirmed(1))
    assert granted(story.hear(end(1))) == [(2, Basis.INSURED, 0)]


def test_what_was_given_already_is_covered_before_what_is_still_to_come(story: Story) -> None:
    story.hear_all(insured(2), session_completed(2), approved(sessions=1, copay_cents=0))
    assert [story.share(number).basis for number in (1, 2)] == [None, Basis.INSURED]


def test_a_waived_session_uses_no_cover_up(story: Story) -> None:
    story.hear_all(insured(2), waiver_granted(1), session_confirmed(1))
    assert granted(story.hear(approved(sessions=1, copay_cents=0))) == [(2, Basis.INSURED, 0)]


@pytest.mark.parametrize(
    ("end", "lost"),
    [
        (denied(), [1, 2]),
        (approved(sessions=1, copay_cents=0), [2]),
        (approved(valid_through=day(1), copay_cents=0), [2]),
    ],
    ids=["denied", "fewer", "ends sooner"],
)
def test_what_is_no_longer_covered_is_taken_back_and_asked_for_anew(
    story: Story, end: EventData, lost: list[int]
) -> None:
    story.hear_all(insured(2), approved(copay_cents=0), session_confirmed(1), session_confirmed(2))
    back = story.hear(end)
    assert [(e.session_id, e.grant, e.reason) for e in back if isinstance(e, PrepaymentWithdrawn)] == [
        (session_id(number), 1, LAPSED) for number in lost
    ]
    for number in lost:
        assert asked(story.hear(session_unconfirmed(number, reason=LAPSED))) == [(number, COVER, COPAY)]
    again = story.hear(approved("new", copay_cents=0))
    assert granted(again) == [(number, Basis.INSURED, 0) for number in lost]
    assert {e.grant for e in again if isinstance(e, PrepaymentSatisfied)} == {2}


def test_a_session_moved_beyond_the_cover_is_taken_back(story: Story) -> None:
    story.hear_all(insured(1), approved(valid_through=day(2), copay_cents=0), session_confirmed(1))
    moved = session_rescheduled(1, starts_at=start(4), state=SessionState.CONFIRMED)
    assert kinds(story.hear(moved)) == ["prepayment.withdrawn"]


def test_cover_that_is_back_before_booking_confirmed_takes_nothing_back(story: Story) -> None:
    story.hear_all(insured(1), approved(copay_cents=0))
    assert story.hear_all(denied(), approved("b")) == []
    assert story.hear(session_confirmed(1)) == []


def test_cover_that_lapsed_before_booking_confirmed_is_taken_back_then(story: Story) -> None:
    story.hear_all(insured(1), approved(copay_cents=0))
    assert story.hear(denied()) == []
    assert kinds(story.hear(session_confirmed(1))) == ["prepayment.withdrawn"]


def test_the_copay_of_a_session_without_cover_goes_to_the_balance_and_back_in_the_end(story: Story) -> None:
    story.hear_all(
        insured(1),
        approved(),
        payment_captured(COPAY),
        session_confirmed(1),
        denied(),
        session_unconfirmed(1, reason=LAPSED),
    )
    assert story.account.balance_cents == COPAY
    story.hear(session_released(1, ReleaseReason.OVERDUE, grant=1))
    (due,) = [e for e in story.until(start(1) + DAY) if e.type == "billing.refund.due.v1"]
    assert due.model_dump()["amount_cents"] == COPAY


def test_a_copay_that_rises_later_leaves_what_is_satisfied_alone(story: Story) -> None:
    story.hear_all(insured(2), approved(copay_cents=700), payment_captured(700), session_confirmed(1))
    assert asked(story.hear(approved(copay_cents=900))) == [(2, MONEY, 900)]
    assert story.share(1).price_cents == 700


def test_an_authorization_after_the_deadline_is_late_even_if_the_timer_had_to_wait() -> None:
    endings = []
    for timer_first in (True, False):
        story = Story()
        story.hear(insured(2, hold_expires_at=start(1)))
        deadline = start(1) - 2 * DAY
        if timer_first:
            story.until(deadline)
        story.hear(approved(sessions=1, copay_cents=0), deadline + HOUR)
        assert [e.session_id for e in story.events_of(PrepaymentSatisfied)] == [session_id(2)]
        story.until(deadline + 2 * HOUR)
        endings.append(story.ending())
    assert endings[0] == endings[1]


def test_what_is_overdue_is_not_asked_for_again_when_its_cover_comes(story: Story) -> None:
    story.hear(insured(1))
    story.until(start(1) - 2 * DAY)
    assert story.hear(approved(copay_cents=700)) == []
    assert kinds(story.hear(payment_captured(700))) == ["payment.recorded", "prepayment.satisfied"]


def test_a_treatment_given_without_cover_is_earned_when_it_comes(story: Story) -> None:
    story.hear_all(insured(1), session_completed(1))
    assert [item.kind for item in story.attention] == ["unpaid_completion"]
    story.hear_all(payment_captured(COPAY), approved())
    assert story.share(1).basis is Basis.INSURED
    assert (story.share(1).prepaid_cents, story.account.balance_cents) == (0, 0)


def test_a_cancelled_session_that_was_given_after_all_costs_the_copay_of_its_cover(story: Story) -> None:
    story.hear_all(insured(1), approved(), payment_captured(COPAY), session_confirmed(1), session_cancelled(1))
    assert story.share(1).refunded_cents == COPAY
    story.hear_all(session_completed(1), approved(copay_cents=700), payment_captured(700, "pay-2"))
    assert (story.share(1).price_cents, story.share(1).basis) == (700, Basis.INSURED)
