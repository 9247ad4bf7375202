"""Double entry: what an entry may be, and what the accounts say after a story."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.billing.account import ledger
from services.billing.account.ledger import Entry, EntryKind, Posting
from services.billing.account.tariff import MissedPolicy, Policy
from shared.contract.closed_sets import Method
from tests.facts.booking import course_accepted, session_completed, session_confirmed, session_missed
from tests.facts.clinic import payment_captured, payment_reversed
from tests.facts.course import COURSE, DAY, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story

SOME = UUID(int=7)


def entry(*postings: Posting) -> Entry:
    return Entry(SOME, COURSE, EntryKind.CAPTURED, "m-1", datetime(2026, 11, 2, tzinfo=UTC), postings)


def test_an_entry_that_does_not_sum_to_zero_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        entry(Posting("cash:card", 100), Posting(ledger.BALANCE, -99))


def test_an_entry_moves_something_with_every_posting() -> None:
    with pytest.raises(ValueError, match="empty posting"):
        entry(Posting("cash:card", 100), Posting(ledger.BALANCE, -100), Posting(ledger.PREPAID, 0))


def test_the_same_cause_makes_the_same_entry() -> None:
    assert ledger.entry_id("m-1", 0) == ledger.entry_id("m-1", 0)
    assert len({ledger.entry_id("m-1", 0), ledger.entry_id("m-1", 1), ledger.entry_id("m-2", 0)}) == 3


def test_money_goes_from_cash_to_revenue_when_the_session_was_given() -> None:
    story = Story()
    story.hear_all(course_accepted(1), payment_captured(PRICE, method=Method.HSA), session_confirmed(1))
    assert ledger.credit(story.account.unposted, ledger.PREPAID) == PRICE
    story.hear(session_completed(1))
    books = story.account.unposted
    assert [e.kind for e in books] == [EntryKind.CAPTURED, EntryKind.ALLOCATED, EntryKind.RECOGNIZED]
    assert ledger.credit(books, "cash:hsa") == -PRICE
    assert ledger.credit(books, ledger.REVENUE) == PRICE
    assert ledger.credit(books, ledger.PREPAID) == ledger.credit(books, ledger.BALANCE) == 0
    assert all(e.cause for e in books)


def test_a_missed_session_that_the_clinic_keeps_is_a_fee_not_revenue() -> None:
    story = Story(Policy(missed=MissedPolicy.KEEP))
    story.hear_all(course_accepted(1), payment_captured(PRICE), session_confirmed(1), session_missed(1))
    assert ledger.credit(story.account.unposted, ledger.FEES) == PRICE
    assert ledger.credit(story.account.unposted, ledger.REVENUE) == 0
    assert story.account.refunds == ()


def test_a_refund_waits_in_its_own_account_until_the_money_has_left() -> None:
    story = Story()
    story.hear_all(course_accepted(1), payment_captured(PRICE + 700))
    story.hear(session_confirmed(1))
    story.hear(session_completed(1), start(1) + DAY)
    (refund,) = story.account.refunds
    assert ledger.credit(story.account.unposted, ledger.REFUNDS_DUE) == 700
    story.hear(payment_reversed(700, refund.refund_id))
    assert ledger.credit(story.account.unposted, ledger.REFUNDS_DUE) == 0
    assert ledger.credit(story.account.unposted, "cash:card") == -PRICE
