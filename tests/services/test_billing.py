"""Billing on PostgreSQL: the road through the real worker, the ledger's guards, and what the till can do by HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from asyncpg import PostgresError

from services.billing.account.messages import RefundRequested, Refused, WaiverGranted
from services.billing.account.records import Given
from services.billing.main import build
from services.billing.profile import read_places
from services.billing.settings import BillingSettings
from services.billing.store import accounts as store
from services.billing.store import papers as paper_store
from services.billing.store.patients import read_patient
from shared.configuration.settings import Misconfigured, read_settings
from shared.contract.booking import BookedSession, SessionCancelled, SessionCompleted, SessionMissed, SessionRescheduled
from shared.contract.clinic import PatientUpdated, Service
from shared.contract.closed_sets import ReleaseReason, SessionState, WithdrawalReason
from shared.contract.register import EventData
from shared.decision.message import Record
from shared.postgres.query import run
from tests.billing_rig import PROFILES, Billing, HandClock, running
from tests.billing_story import (
    COURSE,
    DAY,
    HOUR,
    PRICE,
    T0,
    Story,
    accepted,
    approved,
    booked,
    changed,
    charged_back,
    confirmed,
    denied,
    insured,
    kept,
    paid,
    released,
    reversed_,
    session_id,
    starts_at,
    told,
    unconfirmed,
)
from tests.callers import key_of, keys_file

NAME = "Canary Q. Patient"


@pytest.fixture
async def billing(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Billing]:
    async with running(databases["billing"], keys_file(tmp_path)) as service:
        yield service


def course(of: int = 2, **more: Any) -> EventData:
    """The story's course, as a treatment of the shipped profile `albany`."""
    return accepted(of, treatment="ketamine_induction", **more)


PAID_IN_FULL = [course(2), paid(2 * PRICE), confirmed(1), confirmed(2)]

STORIES: dict[str, list[EventData]] = {
    "paid, given, missed": [*PAID_IN_FULL, told(SessionCompleted, 1), told(SessionMissed, 2)],
    "money first": [paid(PRICE + 7), course(2), confirmed(1)],
    "cancelled, refunded, settled": [*PAID_IN_FULL, told(SessionCancelled, 2), told(SessionCancelled, 1)],
    "grant and release cross": [course(2), paid(PRICE), released(1, ReleaseReason.HOLD_EXPIRED)],
    "moved and late": [course(2), told(SessionRescheduled, 2, at=starts_at(7)), paid(10, "small")],
    "left by itself": [course(1), paid(PRICE + 100), reversed_(60, None)],
    "no price": [course(1, package="gold"), paid(PRICE)],
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
    "waived": [course(1), WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A", reason="goodwill")],
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
    await billing.hear(course(2), paid(2 * PRICE + 300), confirmed(1), confirmed(2), told(SessionCompleted, 1))
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


async def test_a_deadline_passes_and_late_money_comes(billing: Billing) -> None:
    await billing.hear(course(1))
    await billing.until(starts_at(1) - 2 * DAY)
    assert await billing.published() == ["prepayment.required", "prepayment.overdue"]
    late = starts_at(1) - DAY
    await billing.hear(released(1, ReleaseReason.OVERDUE), paid(PRICE), at=late)
    await billing.hear(released(1, ReleaseReason.SLOT_TAKEN, grant=1), at=late)
    assert (await billing.published())[2:] == ["payment.recorded", "prepayment.satisfied", "refund.due"]
    assert await billing.query("SELECT 1 FROM timers WHERE kind <> 'papers'") == []


async def test_repeats_have_no_effect(billing: Billing) -> None:
    records = [billing.record(event) for event in (course(1), paid(PRICE))]
    for _ in range(3):
        await billing.service.worker.on_records(records)
    await billing.hear(paid(PRICE))  # the same payment in another message
    assert await billing.published() == ["prepayment.required", "payment.recorded", "prepayment.satisfied"]


async def test_one_payment_id_for_two_courses_is_booked_once_whoever_comes_first(billing: Billing) -> None:
    other = paid(PRICE).model_copy(update={"course_id": session_id(9)})
    await asyncio.gather(billing.hear(paid(PRICE)), billing.hear(other))
    assert sorted(await billing.published()) == ["payment.recorded", "payment.rejected"]
    assert len(await billing.query("SELECT 1 FROM entries")) == 1
    (shown,) = await billing.query("SELECT kind FROM attention")
    assert shown.kind == "conflicting_payment"


async def test_two_that_speak_of_a_new_course_at_once_lose_nothing(billing: Billing) -> None:
    await asyncio.gather(
        billing.hear(course(2)), *(billing.hear(paid(PRICE // 2, f"pay-{number}")) for number in range(4))
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
    await billing.hear(course(1), other)
    await billing.hear(accepted(1, "tms", course_id=UUID(int=2), sessions=(visit(2),)))
    assert len(await billing.query("SELECT 1 FROM terms")) == 2
    assert len(await billing.query("SELECT DISTINCT terms_id FROM accounts")) == 2


async def test_papers_find_what_was_given_and_an_audit_finds_who_waived(billing: Billing) -> None:
    services = (Service(code="G2083", units=1), Service(code="99213", units=1, modifiers=("25",)))
    wish = WaiverGranted(course_id=COURSE, session_id=session_id(1), waived_by="A. Person", reason="goodwill")
    await billing.take(course(2), wish)
    await billing.hear(confirmed(1), told(SessionCompleted, 1, services=services))
    async with billing.service.database.begin() as connection:
        assert await store.course_of(connection, session_id(2)) == COURSE
        assert await store.course_of(connection, COURSE) is None
        account = await store.read_account(connection, COURSE)
        assert account is not None
        (folder,) = await paper_store.folders(connection, [account])
    assert folder.given == (Given(session_id(1), "dana", starts_at(1), starts_at(1) + HOUR, services),)
    (waiver,) = await billing.query("SELECT waived_by, reason, grant_number, message_id FROM waivers")
    assert tuple(waiver) == ("A. Person", "goodwill", 1, "http-1")


async def test_a_request_that_breaks_a_rule_leaves_nothing(billing: Billing) -> None:
    await billing.hear(course(1))
    with pytest.raises(Refused):
        await billing.take(RefundRequested(course_id=COURSE, requested_by="desk", reason="asked"))
    assert await billing.query("SELECT 1 FROM inbox WHERE id LIKE 'http-%'") == []
    assert await billing.query("SELECT 1 FROM dead_letters") == []


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


async def test_a_person_is_kept_for_papers_and_forgotten_on_demand(billing: Billing) -> None:
    person = PatientUpdated(
        patient_id="p-1", name=NAME, born_on=date(1980, 2, 29), diagnoses=("F33.2",), no_claims=True
    )
    await billing.hear(person.model_copy(update={"name": "Earlier"}), person)
    async with billing.service.database.begin() as connection:
        assert await read_patient(connection, "p-1") == person
    erasure = Record("clinic.patients", 0, 99, int(T0.timestamp() * 1000), b"p-1", None, ())
    await billing.service.worker.on_records([erasure])
    async with billing.service.database.begin() as connection:
        assert await read_patient(connection, "p-1") is None
    for table in ("outbox", "attention", "dead_letters", "accounts", "timers"):
        found = await billing.query(f"SELECT count(*) AS n FROM {table} t WHERE t::text LIKE :name", name=f"%{NAME}%")
        assert found[0].n == 0


def body(**other: Any) -> dict[str, Any]:
    return paid(PRICE).model_dump(mode="json") | other


async def test_the_till_books_money_and_the_desk_sees_the_account(billing: Billing) -> None:
    await billing.hear(course(2))
    answer = await billing.post(body(amount_cents=PRICE + 100))
    assert (answer.status_code, answer.json()["unallocated_cents"]) == (201, 100)
    account = (await billing.get(f"/v1/courses/{COURSE}/account", "front_desk")).json()
    totals = {name: cents for name, cents in account.items() if name.endswith("_cents")}
    assert totals == {
        "price_cents": 2 * PRICE,
        "owed_cents": PRICE - 100,
        "paid_cents": PRICE + 100,
        "allocated_cents": PRICE,
        "balance_cents": 100,
        "disputed_cents": 0,
    }
    first, second = account["sessions"]
    assert (first["basis"], first["due_at"], first["prepaid_cents"]) == ("paid", None, PRICE)
    due_at = datetime.fromisoformat(second["due_at"])
    assert (second["basis"], due_at.astimezone(UTC)) == (None, starts_at(2) - 2 * DAY)


async def test_the_same_request_again_gets_the_same_answer(billing: Billing) -> None:
    first, again = await billing.post(body()), await billing.post(body())
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other_key = await billing.post(body(), key="k-2")
    assert (other_key.status_code, other_key.json()["payment_id"]) == (200, "pay-1")
    assert await billing.published() == ["payment.recorded"]


async def test_wrong_money_is_refused_and_nothing_is_booked(billing: Billing) -> None:
    wrong: list[dict[str, Any]] = [
        {"currency": "EUR"},
        {"amount_cents": 10.5},
        {"amount_cents": -1},
        {"amount_cents": 0},
        {"method": "barter"},
        {"payment_id": "a\u0000b"},
        {"captured_at": "2026-11-02T09:00:00"},
        {"tip_cents": 5},
    ]
    for number, change in enumerate(wrong):
        answer = await billing.post(body(**change), key=f"k-{number}")
        assert answer.status_code == 422, change
        assert "barter" not in answer.text
    assert await billing.query("SELECT 1 FROM entries") == []


async def test_a_payment_id_with_other_content_is_a_conflict(billing: Billing) -> None:
    await billing.post(body())
    answer = await billing.post(body(amount_cents=1), key="k-2")
    assert (answer.status_code, answer.json()["title"]) == (409, "conflicting_repeat")


async def test_only_the_till_takes_money_in(billing: Billing) -> None:
    assert (await billing.post(body(), role="front_desk")).status_code == 403
    assert (await billing.client.post("/v1/payments", json=body(), headers={"Idempotency-Key": "k"})).status_code == 401
    keyless = await billing.client.post(
        "/v1/payments", json=body(), headers={"Authorization": f"Bearer {key_of('till')}"}
    )
    assert keyless.status_code == 400


async def test_a_course_that_nobody_spoke_of_has_no_account(billing: Billing) -> None:
    assert (await billing.get(f"/v1/courses/{UUID(int=5)}/account")).status_code == 404
    await billing.hear(confirmed(1))
    assert (await billing.get(f"/v1/courses/{COURSE}/account")).status_code == 404


async def test_money_that_waits_for_its_course_can_be_seen(billing: Billing) -> None:
    await billing.hear(paid(PRICE))
    account = (await billing.get(f"/v1/courses/{COURSE}/account")).json()
    assert (account["stage"], account["balance_cents"]) == ("unknown", PRICE)
    await billing.until(T0 + DAY + HOUR)
    (shown,) = await billing.query("SELECT kind FROM attention")
    assert shown.kind == "payment_without_course"


def test_a_clinic_without_a_tariff_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "albany").mkdir()
    (tmp_path / "albany" / "clinic.toml").write_bytes((PROFILES / "albany" / "clinic.toml").read_bytes())
    settings = read_settings(BillingSettings, kafka="x:1", billing_database="postgresql://x@x/x", profiles=tmp_path)
    with pytest.raises(Misconfigured, match=r"albany/billing.toml: there is no such file"):
        build(settings, HandClock())
