"""Accounts on PostgreSQL: what is kept is what was decided, whoever comes at once, and the ledger only grows."""

import asyncio
from datetime import date
from uuid import UUID

import pytest
from asyncpg import CheckViolationError, PostgresError

from services.billing.account.records import Given
from services.billing.profile import read_places
from services.billing.store import accounts as store
from services.billing.store import papers as paper_store
from shared.contract.booking import BookedSession
from shared.contract.clinic import Service
from shared.contract.closed_sets import ReleaseReason, WithdrawalReason
from shared.contract.register import EventData
from shared.postgres.query import run
from tests.facts.booking import (
    at_albany,
    booked_session,
    insured,
    insured_since,
    session_cancelled,
    session_completed,
    session_confirmed,
    session_missed,
    session_released,
    session_rescheduled,
    session_unconfirmed,
    session_withdrawal_refused,
)
from tests.facts.clinic import approved, charged_back, denied, payment_captured, payment_reversed
from tests.facts.course import COURSE, HOUR, session_id, start
from tests.facts.wishes import refund_requested, waiver_granted
from tests.stand_ins.billed_clinics import PRICE, PROFILES
from tests.stand_ins.billing_rig import Billing
from tests.stand_ins.billing_story import Story

PAID_IN_FULL = [at_albany(2), payment_captured(2 * PRICE), session_confirmed(1), session_confirmed(2)]

STORIES: dict[str, list[EventData]] = {
    "paid, given, missed": [*PAID_IN_FULL, session_completed(1), session_missed(2)],
    "money first": [payment_captured(PRICE + 7), at_albany(2), session_confirmed(1)],
    "cancelled, refunded, settled": [*PAID_IN_FULL, session_cancelled(2), session_cancelled(1)],
    "grant and release cross": [at_albany(2), payment_captured(PRICE), session_released(1, ReleaseReason.HOLD_EXPIRED)],
    "moved and late": [at_albany(2), session_rescheduled(2, starts_at=start(7)), payment_captured(10, "small")],
    "left by itself": [at_albany(1), payment_captured(PRICE + 100), payment_reversed(60, None)],
    "no price": [at_albany(1, package="gold"), payment_captured(PRICE)],
    "covered, paid, given": [
        insured(2, "tms", location="carbondale"),
        approved(sessions=1, valid_through=date(2026, 12, 31)),
        payment_captured(3000),
        session_confirmed(1),
        session_completed(1, services=(Service(code="90868", units=1),)),
    ],
    "cover lapses": [
        insured(1, "spravato", location="carbondale"),
        approved(copay_cents=0),
        session_confirmed(1),
        denied(),
        session_unconfirmed(1),
    ],
    "authorized first": [
        approved(copay_cents=700),
        insured(1, "spravato", location="carbondale"),
        payment_captured(700),
    ],
    "somebody else pays": [
        at_albany(1, treatment="tms"),
        payment_captured(30000),
        session_confirmed(1),
        insured_since(1, "tms", location="carbondale"),
        session_unconfirmed(1, reason=WithdrawalReason.PAYER_CHANGED),
    ],
    "charged back": [*PAID_IN_FULL, charged_back(PRICE), session_unconfirmed(2), payment_captured(PRICE, "pay-2")],
    "charged back too late": [*PAID_IN_FULL, charged_back(PRICE), session_withdrawal_refused(2), session_completed(2)],
    "refund on its way": [
        *PAID_IN_FULL,
        refund_requested(2),
    ],
    "waived": [
        at_albany(1),
        waiver_granted(1),
    ],
    "free once": [at_albany(2, treatment="consultation"), session_confirmed(1)],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_what_is_kept_is_what_the_rules_decided(billing: Billing, story: list[EventData]) -> None:
    pure = Story()
    pure.places = read_places(PROFILES, ("albany",))
    pure.hear_all(*story)
    for first in range(0, len(story), 2):
        await billing.take(*story[first : first + 2])

    async with billing.service.database.begin() as connection:
        written = await store.read_account(connection, COURSE)
    expected, timers = pure.ending()
    assert written == expected
    due = await billing.query("SELECT kind, subject, due_at FROM timers WHERE kind <> 'papers' ORDER BY kind, subject")
    assert [((row.kind, row.subject), row.due_at) for row in due] == timers
    assert len(await billing.published()) == len(pure.events)
    assert await billing.query("SELECT 1 FROM dead_letters") == []


async def test_balances_are_the_fold_of_the_ledger(billing: Billing) -> None:
    await billing.hear(
        at_albany(2),
        payment_captured(2 * PRICE + 300),
        session_confirmed(1),
        session_confirmed(2),
        session_completed(1),
    )
    await billing.hear(session_cancelled(2))
    books = await billing.query(
        """SELECT account, -sum(amount_cents) AS cents FROM lines JOIN entries ON entries.id = entry_id
           WHERE course_id = :course GROUP BY account""",
        course=COURSE,
    )
    assert {row.account: row.cents for row in books} == {
        "cash:card": -(2 * PRICE + 300),
        "balance": 0,
        "prepaid": 0,
        "revenue": PRICE,
        "refunds_due": PRICE + 300,
    }
    (head,) = await billing.query("SELECT balance_cents FROM accounts")
    assert head.balance_cents == 0


async def test_one_payment_id_for_two_courses_is_booked_once_whoever_comes_first(billing: Billing) -> None:
    other = payment_captured(PRICE).model_copy(update={"course_id": session_id(9)})
    await asyncio.gather(billing.hear(payment_captured(PRICE)), billing.hear(other))
    assert sorted(await billing.published()) == ["payment.recorded", "payment.rejected"]
    assert len(await billing.query("SELECT 1 FROM entries")) == 1
    (shown,) = await billing.query("SELECT kind FROM attention")
    assert shown.kind == "conflicting_payment"


async def test_two_that_speak_of_a_new_course_at_once_lose_nothing(billing: Billing) -> None:
    await asyncio.gather(
        billing.hear(at_albany(2)),
        *(billing.hear(payment_captured(PRICE // 2, f"pay-{number}")) for number in range(4)),
    )
    assert sorted(await billing.published()) == [
        *["payment.recorded"] * 4,
        *["prepayment.required"] * 2,
        *["prepayment.satisfied"] * 2,
    ]
    assert await billing.query("SELECT 1 FROM dead_letters") == []


async def test_of_two_first_consultations_at_once_one_is_free_and_a_cancelled_one_was_none(billing: Billing) -> None:
    others = [at_albany(1, treatment="consultation", course_id=UUID(int=n), sessions=(visit(n),)) for n in range(1, 5)]
    await asyncio.gather(*(billing.hear(other) for other in others[:2]))
    await billing.hear(*others[2:3])
    free = await billing.query("SELECT course_id, session_id FROM shares WHERE basis = 'free'")
    assert len(free) == 1
    assert sorted(await billing.published()) == [*["prepayment.required"] * 2, "prepayment.satisfied"]
    cancelled = session_cancelled(1, course_id=free[0].course_id, session_id=free[0].session_id)
    answer = session_confirmed(1, course_id=free[0].course_id, session_id=free[0].session_id)
    await billing.hear(answer, cancelled)
    await billing.hear(others[3])
    assert len(await billing.query("SELECT 1 FROM shares WHERE basis = 'free'")) == 1


def visit(number: int) -> BookedSession:
    """A session with an id of its own."""
    return booked_session(1, 1, session_id=UUID(int=100 + number))


async def test_terms_of_courses_are_shared_and_outlive_the_profile(billing: Billing) -> None:
    other = at_albany(1, course_id=UUID(int=1), sessions=(visit(1),))
    await billing.hear(at_albany(1), other)
    await billing.hear(at_albany(1, treatment="tms", course_id=UUID(int=2), sessions=(visit(2),)))
    assert len(await billing.query("SELECT 1 FROM terms")) == 2
    assert len(await billing.query("SELECT DISTINCT terms_id FROM accounts")) == 2


async def test_papers_find_what_was_given_and_an_audit_finds_who_waived(billing: Billing) -> None:
    services = (Service(code="G2083", units=1), Service(code="99213", units=1, modifiers=("25",)))
    wish = waiver_granted(1)
    await billing.take(at_albany(2), wish)
    await billing.hear(session_confirmed(1), session_completed(1, services=services))
    async with billing.service.database.begin() as connection:
        assert await store.course_of(connection, session_id(2)) == COURSE
        assert await store.course_of(connection, COURSE) is None
        account = await store.read_account(connection, COURSE)
        assert account is not None
        (folder,) = await paper_store.folders(connection, [account])
    assert folder.given == (Given(session_id(1), "dana", start(1), start(1) + HOUR, services),)
    (waiver,) = await billing.query("SELECT waived_by, reason, grant_number, message_id FROM waivers")
    assert tuple(waiver) == ("A. Person", "goodwill", 1, "http-1")


async def test_the_ledger_only_grows(billing: Billing) -> None:
    await billing.hear(payment_captured(PRICE))
    kept_for_good = (
        *(("entries", "cause = 'other'"), ("lines", "amount_cents = 1"), ("waivers", "reason = 'other'")),
        *(("terms", "content = '{}'"), ("given", "provider = 'x'"), ("authorizations", "sessions = 9")),
    )
    for table, column in kept_for_good:
        for change in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(PostgresError, match="permission denied"):
                await billing.query(change)


async def test_the_database_refuses_an_entry_that_does_not_sum_to_zero(billing: Billing) -> None:
    await billing.hear(payment_captured(PRICE))
    (entry,) = await billing.query("SELECT id FROM entries")
    with pytest.raises(PostgresError, match="does not sum to zero"):
        async with billing.service.database.begin() as connection:
            await run(
                connection,
                "INSERT INTO lines (entry_id, number, account, amount_cents) VALUES (:id, 3, 'revenue', 1)",
                id=entry.id,
            )


async def test_the_database_refuses_by_name_what_no_share_can_be(billing: Billing) -> None:
    await billing.hear(at_albany(1))
    wrong = {
        "money_rests_where_it_satisfies": "prepaid_cents = price_cents",
        "released_for_a_reason": "state = 'released'",
        "cover_is_for_insured": "cover = 'a'",
        "granted_on_a_basis": "granted = 1",
        "one_grant_at_a_time": "granted = 2, basis = 'paid'",
        "only_answered_grants_are_asked_back": "withdrawn = 1",
        "only_satisfied_is_taken_back": "withdrawal = 'refund'",
        "refund_of_what_rests": "refunding_cents = 1",
        "shares_check": "fee_cents = price_cents + 1",
    }
    for constraint, change in wrong.items():
        with pytest.raises(CheckViolationError, match=constraint):
            await billing.query(f"UPDATE shares SET {change}")
    with pytest.raises(CheckViolationError, match="priced_by_terms"):
        await billing.query("UPDATE accounts SET terms_id = NULL")
