"""Accounts on PostgreSQL: what is kept is what was decided, whoever comes at once, and the ledger only grows."""

import asyncio
from datetime import date
from uuid import UUID

import pytest
from asyncpg import CheckViolationError, PostgresError

from services.billing.account.messages import RefundRequested, WaiverGranted
from services.billing.account.records import Given
from services.billing.profile import read_places
from services.billing.store import accounts as store
from services.billing.store import papers as paper_store
from shared.contract.booking import BookedSession, SessionCancelled, SessionCompleted, SessionMissed, SessionRescheduled
from shared.contract.clinic import Service
from shared.contract.closed_sets import ReleaseReason, SessionState, WithdrawalReason
from shared.contract.register import EventData
from shared.postgres.query import run
from tests.facts.booking import (
    accepted,
    at_albany,
    booked,
    changed,
    confirmed,
    insured,
    kept,
    released,
    told,
    unconfirmed,
)
from tests.facts.clinic import approved, charged_back, denied, paid, reversed_
from tests.facts.course import COURSE, HOUR, session_id
from tests.facts.infusions import begins_at
from tests.stand_ins.billed_clinics import PRICE, PROFILES
from tests.stand_ins.billing_rig import Billing
from tests.stand_ins.billing_story import Story

PAID_IN_FULL = [at_albany(2), paid(2 * PRICE), confirmed(1), confirmed(2)]

STORIES: dict[str, list[EventData]] = {
    "paid, given, missed": [*PAID_IN_FULL, told(SessionCompleted, 1), told(SessionMissed, 2)],
    "money first": [paid(PRICE + 7), at_albany(2), confirmed(1)],
    "cancelled, refunded, settled": [*PAID_IN_FULL, told(SessionCancelled, 2), told(SessionCancelled, 1)],
    "grant and release cross": [at_albany(2), paid(PRICE), released(1, ReleaseReason.HOLD_EXPIRED)],
    "moved and late": [at_albany(2), told(SessionRescheduled, 2, at=begins_at(7)), paid(10, "small")],
    "left by itself": [at_albany(1), paid(PRICE + 100), reversed_(60, None)],
    "no price": [at_albany(1, package="gold"), paid(PRICE)],
    "covered, paid, given": [
        insured(2, "tms"),
        approved(sessions=1, valid_through=date(2026, 12, 31)),
        paid(3000),
        confirmed(1),
        told(SessionCompleted, 1, services=(Service(code="90868", units=1),)),
    ],
    "cover lapses": [insured(1, "spravato"), approved(copay_cents=0), confirmed(1), denied(), unconfirmed(1)],
    "authorized first": [approved(copay_cents=700), insured(1, "spravato"), paid(700)],
    "somebody else pays": [
        accepted(1, "tms"),
        paid(30000),
        confirmed(1),
        changed(1, treatment="tms", payer="insurance", insurance={"plan": "Good Health"}),
        unconfirmed(1, reason=WithdrawalReason.PAYER_CHANGED),
    ],
    "charged back": [*PAID_IN_FULL, charged_back(PRICE), unconfirmed(2), paid(PRICE, "pay-2")],
    "charged back too late": [*PAID_IN_FULL, charged_back(PRICE), kept(2), told(SessionCompleted, 2)],
    "refund on its way": [
        *PAID_IN_FULL,
        RefundRequested(course_id=COURSE, sessions=(session_id(2),), requested_by="desk", reason="moves away"),
    ],
    "waived": [
        at_albany(1),
        WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A", reason="goodwill"),
    ],
    "free once": [accepted(2, "consultation"), confirmed(1)],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_what_is_kept_is_what_the_rules_decided(billing: Billing, story: list[EventData]) -> None:
    pure = Story()
    pure.places = read_places(PROFILES, ("albany",))
    pure.hear_all(*story)
    for start in range(0, len(story), 2):
        await billing.take(*story[start : start + 2])

    async with billing.service.database.begin() as connection:
        written = await store.read_account(connection, COURSE)
    expected, timers = pure.ending()
    assert written == expected
    due = await billing.query("SELECT kind, subject, due_at FROM timers WHERE kind <> 'papers' ORDER BY kind, subject")
    assert [((row.kind, row.subject), row.due_at) for row in due] == timers
    assert len(await billing.published()) == len(pure.events)
    assert await billing.query("SELECT 1 FROM dead_letters") == []


async def test_balances_are_the_fold_of_the_ledger(billing: Billing) -> None:
    await billing.hear(at_albany(2), paid(2 * PRICE + 300), confirmed(1), confirmed(2), told(SessionCompleted, 1))
    await billing.hear(told(SessionCancelled, 2))
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
    other = paid(PRICE).model_copy(update={"course_id": session_id(9)})
    await asyncio.gather(billing.hear(paid(PRICE)), billing.hear(other))
    assert sorted(await billing.published()) == ["payment.recorded", "payment.rejected"]
    assert len(await billing.query("SELECT 1 FROM entries")) == 1
    (shown,) = await billing.query("SELECT kind FROM attention")
    assert shown.kind == "conflicting_payment"


async def test_two_that_speak_of_a_new_course_at_once_lose_nothing(billing: Billing) -> None:
    await asyncio.gather(
        billing.hear(at_albany(2)), *(billing.hear(paid(PRICE // 2, f"pay-{number}")) for number in range(4))
    )
    assert sorted(await billing.published()) == [
        *["payment.recorded"] * 4,
        *["prepayment.required"] * 2,
        *["prepayment.satisfied"] * 2,
    ]
    assert await billing.query("SELECT 1 FROM dead_letters") == []


async def test_of_two_first_consultations_at_once_one_is_free_and_a_cancelled_one_was_none(billing: Billing) -> None:
    others = [accepted(1, "consultation", course_id=UUID(int=n), sessions=(visit(n),)) for n in range(1, 5)]
    await asyncio.gather(*(billing.hear(other) for other in others[:2]))
    await billing.hear(*others[2:3])
    free = await billing.query("SELECT course_id, session_id FROM shares WHERE basis = 'free'")
    assert len(free) == 1
    assert sorted(await billing.published()) == [*["prepayment.required"] * 2, "prepayment.satisfied"]
    cancelled = told(SessionCancelled, 1, course_id=free[0].course_id, session_id=free[0].session_id)
    answer = confirmed(1, course_id=free[0].course_id, session_id=free[0].session_id)
    await billing.hear(answer, cancelled)
    await billing.hear(others[3])
    assert len(await billing.query("SELECT 1 FROM shares WHERE basis = 'free'")) == 1


def visit(number: int) -> BookedSession:
    """A session with an id of its own."""
    return BookedSession(**booked(1, 1, SessionState.HELD) | {"session_id": UUID(int=100 + number)})


async def test_terms_of_courses_are_shared_and_outlive_the_profile(billing: Billing) -> None:
    other = accepted(1, "ketamine_induction", course_id=UUID(int=1), sessions=(visit(1),))
    await billing.hear(at_albany(1), other)
    await billing.hear(accepted(1, "tms", course_id=UUID(int=2), sessions=(visit(2),)))
    assert len(await billing.query("SELECT 1 FROM terms")) == 2
    assert len(await billing.query("SELECT DISTINCT terms_id FROM accounts")) == 2


async def test_papers_find_what_was_given_and_an_audit_finds_who_waived(billing: Billing) -> None:
    services = (Service(code="G2083", units=1), Service(code="99213", units=1, modifiers=("25",)))
    wish = WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A. Person", reason="goodwill")
    await billing.take(at_albany(2), wish)
    await billing.hear(confirmed(1), told(SessionCompleted, 1, services=services))
    async with billing.service.database.begin() as connection:
        assert await store.course_of(connection, session_id(2)) == COURSE
        assert await store.course_of(connection, COURSE) is None
        account = await store.read_account(connection, COURSE)
        assert account is not None
        (folder,) = await paper_store.folders(connection, [account])
    assert folder.given == (Given(session_id(1), "dana", begins_at(1), begins_at(1) + HOUR, services),)
    (waiver,) = await billing.query("SELECT waived_by, reason, grant_number, message_id FROM waivers")
    assert tuple(waiver) == ("A. Person", "goodwill", 1, "http-1")


async def test_the_ledger_only_grows(billing: Billing) -> None:
    await billing.hear(paid(PRICE))
    kept_for_good = (
        *(("entries", "cause = 'other'"), ("lines", "amount_cents = 1"), ("waivers", "reason = 'other'")),
        *(("terms", "content = '{}'"), ("given", "provider = 'x'"), ("authorizations", "sessions = 9")),
    )
    for table, column in kept_for_good:
        for change in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(PostgresError, match="permission denied"):
                await billing.query(change)


async def test_the_database_refuses_an_entry_that_does_not_sum_to_zero(billing: Billing) -> None:
    await billing.hear(paid(PRICE))
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
