"""What a session that did not take place costs: by the policy that was in force when its course was accepted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.billing.account import ledger
from services.billing.account.tariff import Counted, Late, MissedPolicy, Policy
from services.billing.account.terms import Terms, open_time, terms_for
from shared.contract.billing import RefundDue
from shared.contract.closed_sets import By, Payer, RefundReason, SessionState
from shared.contract.register import EventData
from tests.facts.booking import (
    course_accepted,
    insured,
    session_cancelled,
    session_confirmed,
    session_missed,
    session_released,
    session_withdrawal_refused,
)
from tests.facts.clinic import approved, payment_captured
from tests.facts.course import DAY, HOUR, NOW, start
from tests.facts.wishes import refund_requested
from tests.stand_ins.billed_clinics import COPAY, PLACES, PRICE, place
from tests.stand_ins.billing_story import Story

RETURN, KEEP = MissedPolicy.RETURN, MissedPolicy.KEEP
TIERS = Policy(missed=RETURN, late=(Late(within_hours=72, fee_cents=5000), Late(within_hours=24, fee_cents=15000)))
BUSINESS = TIERS.model_copy(update={"hours": Counted.BUSINESS})


def cancelled_at(at: datetime, policy: Policy, by: By = By.PATIENT) -> Story:
    """One session, paid and confirmed, cancelled at an instant."""
    story = Story(policy)
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    story.hear(session_cancelled(1, by=by), at)
    return story


def fees(story: Story) -> int:
    return ledger.credit(story.account.unposted, ledger.FEES)


@pytest.mark.parametrize(
    ("notice", "fee"),
    [(73 * HOUR, 0), (72 * HOUR, 0), (72 * HOUR - timedelta(seconds=1), 5000), (24 * HOUR, 5000), (HOUR, 15000)],
    ids=str,
)
def test_the_shorter_the_notice_the_higher_the_fee(notice: timedelta, fee: int) -> None:
    story = cancelled_at(start(1) - notice, TIERS)
    assert fees(story) == story.share(1).fee_cents == fee
    (refund,) = story.events_of(RefundDue)
    assert (refund.amount_cents, refund.reason) == (PRICE - fee, RefundReason.CANCELLED)
    assert story.account.balance_cents == 0


def test_the_clinics_own_fault_is_always_returned_whole() -> None:
    story = cancelled_at(start(1) - HOUR, TIERS, By.CLINIC)
    (refund,) = story.events_of(RefundDue)
    assert (refund.amount_cents, refund.reason) == (PRICE, RefundReason.CLINIC_FAULT)


def test_without_tiers_a_late_cancellation_costs_nothing() -> None:
    assert fees(cancelled_at(start(1) - HOUR, Policy(missed=RETURN))) == 0


def test_business_hours_leave_out_the_night_the_weekend_and_holidays() -> None:
    location = place().location
    friday = datetime(2026, 11, 20, 21, tzinfo=UTC)  # three in the afternoon in Chicago
    monday, enough = datetime(2026, 11, 23, 16, tzinfo=UTC), timedelta(days=9)
    assert open_time(location, friday, monday, enough) == 3 * HOUR  # 15-17 and 9-10
    assert open_time(location, monday, friday, enough) == timedelta(0)
    before_holiday = datetime(2026, 11, 25, 22, tzinfo=UTC)
    after = datetime(2026, 11, 27, 16, tzinfo=UTC)
    assert open_time(location, before_holiday, after, enough) == 2 * HOUR  # Wednesday 16-17, Friday 9-10
    assert open_time(location, friday, friday + 300 * DAY, 4 * HOUR) >= 4 * HOUR


def test_business_hours_through_both_nights_of_the_change_of_clocks() -> None:
    location = place().location
    for sunday in (datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 3, 14, tzinfo=UTC)):
        assert open_time(location, sunday - 2 * DAY, sunday + 2 * DAY, timedelta(days=9)) == 16 * HOUR


def test_a_notice_in_business_hours_counts_those_alone() -> None:
    thursday = start(1)  # 12 November, nine in the morning
    assert fees(cancelled_at(thursday - 2 * DAY, BUSINESS)) == 15000  # 16 business hours
    assert fees(cancelled_at(thursday - 2 * DAY, TIERS)) == 5000
    assert fees(cancelled_at(NOW, BUSINESS)) == 5000  # eight working days of eight hours, less an hour


def test_the_policy_is_the_one_of_the_day_of_acceptance() -> None:
    story = Story(TIERS)
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    story.places = {"stella": place()}
    story.hear(session_cancelled(1), start(1) - HOUR)
    assert fees(story) == 15000


def test_where_the_location_is_not_served_any_more_the_clock_counts() -> None:
    story = Story(BUSINESS)
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    story.places = {}
    story.hear(session_cancelled(1), start(1) - 2 * DAY)
    assert fees(story) == 5000


def test_who_never_had_the_place_pays_no_fee() -> None:
    story = Story(TIERS)
    story.hear_all(course_accepted(1), payment_captured(PRICE))
    story.hear(session_cancelled(1), start(1) - HOUR)
    assert fees(story) == 0
    story.hear(session_released(1, "slot_taken", grant=1, state=SessionState.CANCELLED))
    assert (fees(story), story.events_of(RefundDue)[0].amount_cents) == (0, PRICE)
    unpaid = Story(TIERS)
    unpaid.hear_all(course_accepted(1), session_cancelled(1))
    assert fees(unpaid) == 0


def test_a_fee_is_at_most_what_was_paid() -> None:
    story = Story(TIERS)
    story.hear_all(insured(1), approved(), payment_captured(COPAY), session_confirmed(1))
    story.hear(session_cancelled(1), start(1) - HOUR)
    assert (fees(story), story.events_of(RefundDue)) == (COPAY, [])


@pytest.mark.parametrize(
    ("policy", "fee", "back"),
    [
        (Policy(missed=KEEP), PRICE, 0),
        (Policy(missed=RETURN), 0, PRICE),
        (Policy(missed=RETURN, missed_fee_cents=5000), 5000, PRICE - 5000),
    ],
    ids=["keep", "return", "fee"],
)
def test_a_missed_session_goes_where_the_policy_says(policy: Policy, fee: int, back: int) -> None:
    story = Story(policy)
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    story.hear(session_missed(1), start(1) + HOUR)
    assert fees(story) == story.share(1).fee_cents == fee
    assert sum(refund.amount_cents for refund in story.events_of(RefundDue)) == back
    assert story.account.balance_cents == 0


@pytest.mark.parametrize("end", [session_missed, session_cancelled])
@pytest.mark.parametrize(
    "policy",
    [TIERS, Policy(missed=KEEP, late=TIERS.late), Policy(missed=RETURN, missed_fee_cents=5)],
    ids=["tiers", "keep", "fee"],
)
def test_patients_of_a_plan_without_such_fees_are_never_charged(
    end: Callable[[int], EventData], policy: Policy
) -> None:
    story = Story(policy)
    aid = {"payer": Payer.INSURANCE, "insurance": {"plan": "State Aid"}}
    story.hear_all(course_accepted(1, **aid), payment_captured(PRICE), session_confirmed(1))
    story.hear(end(1), start(1) - HOUR)
    assert fees(story) == 0
    assert story.events_of(RefundDue)[0].amount_cents == PRICE


def test_a_fee_of_one_session_does_not_give_back_what_another_may_use() -> None:
    story = Story(TIERS)
    story.hear_all(course_accepted(2), payment_captured(2 * PRICE + 15000), session_confirmed(1), session_confirmed(2))
    story.hear(session_cancelled(1), start(1) - HOUR)
    assert [refund.amount_cents for refund in story.events_of(RefundDue)] == [PRICE - 15000]
    assert story.account.balance_cents == 15000


def test_the_fee_counts_from_the_cancellation_even_if_booking_answers_later() -> None:
    story = Story(TIERS)
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1))
    story.hear(refund_requested(1), start(1) - 80 * HOUR)
    story.hear(session_cancelled(1), start(1) - 30 * HOUR)
    story.hear(session_withdrawal_refused(1, state=SessionState.CANCELLED), start(1) - HOUR)
    assert fees(story) == 5000
    assert [refund.amount_cents for refund in story.events_of(RefundDue)] == [PRICE - 5000]


@pytest.mark.parametrize("location", sorted(PLACES))
def test_terms_are_read_back_as_they_were_written_down(location: str) -> None:
    for name in PLACES[location].tariff.treatments:
        terms = terms_for(PLACES[location], name, "Illinois Medicaid")
        again = Terms.model_validate_json(terms.content)
        assert again == terms
        assert again.terms_id == terms.terms_id


def test_terms_of_another_plan_are_others() -> None:
    terms = terms_for(PLACES["albany"], "tms", "Illinois Medicaid")
    assert (
        terms.with_plan(None).terms_id == terms_for(PLACES["albany"], "tms", "Good Health").terms_id != terms.terms_id
    )


@pytest.mark.parametrize(
    ("starts_in", "due_in"),
    [
        (240, 192),  # far ahead: two days before
        (73, 25),
        (72, 24),
        (60, 24),  # near: a day after acceptance
        (24, 24),
        (3, 3),  # sooner than that: at the start, never later
    ],
)
def test_due_two_days_ahead_with_a_day_of_grace(starts_in: int, due_in: int) -> None:
    due_at = terms_for(place(), "ketamine_induction", None).due_at(NOW + starts_in * HOUR, NOW)
    assert due_at == NOW + due_in * HOUR
