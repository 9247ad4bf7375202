"""What can be asked of billing over HTTP: money back, a price waived, an account; by whom, and who asked is known."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.facts.booking import at_albany, session_confirmed, session_unconfirmed
from tests.facts.clinic import payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, session_id, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_rig import Billing
from tests.stand_ins.callers import key_of


def body(**other: Any) -> dict[str, Any]:
    return payment_captured(PRICE).model_dump(mode="json") | other


async def test_the_till_books_money_and_the_desk_sees_the_account(billing: Billing) -> None:
    await billing.hear(at_albany(2))
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
    assert (second["basis"], due_at.astimezone(UTC)) == (None, start(2) - 2 * DAY)


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
    await billing.hear(session_confirmed(1))
    assert (await billing.get(f"/v1/courses/{COURSE}/account")).status_code == 404


async def test_money_that_waits_for_its_course_can_be_seen(billing: Billing) -> None:
    await billing.hear(payment_captured(PRICE))
    account = (await billing.get(f"/v1/courses/{COURSE}/account")).json()
    assert (account["stage"], account["balance_cents"]) == ("unknown", PRICE)
    await billing.until(NOW + DAY + HOUR)
    (shown,) = await billing.query("SELECT kind FROM attention")
    assert shown.kind == "payment_without_course"


REFUNDS = f"/v1/courses/{COURSE}/refunds"
WAIVER = f"/v1/sessions/{session_id(1)}/waiver"
NOBODY = UUID(int=5)
REASON = {"reason": "moves away"}


async def book(billing: Billing, of: int = 2, cents: int = 0) -> None:
    """A course of infusions at Albany, with money."""
    money = [payment_captured(cents)] if cents else []
    await billing.hear(at_albany(of), *money)


async def trail(billing: Billing) -> list[tuple[str, ...]]:
    """Who asked for what."""
    return [tuple(row) for row in await billing.query("SELECT caller, action, subject, detail FROM audit ORDER BY at")]


async def test_what_rests_in_the_balance_goes_back_at_once(billing: Billing) -> None:
    await book(billing, 1, PRICE + 700)
    await billing.hear(session_confirmed(1))
    answer = await billing.post({"amount_cents": 500, **REASON}, role="biller", path=REFUNDS)
    assert answer.status_code == 201
    (refund,) = answer.json()["refunds"]
    assert (refund["amount_cents"], answer.json()["asked_back"]) == (500, [])
    account = (await billing.get(f"/v1/courses/{COURSE}/account")).json()
    assert [(r["refund_id"], r["amount_cents"], r["reason"]) for r in account["refunds"]] == [
        (refund["refund_id"], 500, "requested")
    ]


async def test_a_sessions_money_follows_bookings_answer(billing: Billing) -> None:
    await book(billing, 2, 2 * PRICE)
    await billing.hear(session_confirmed(1), session_confirmed(2))
    wish = {"sessions": [str(session_id(2))], "by": "Avery Brooks", **REASON}
    answer = await billing.post(wish, role="biller", path=REFUNDS)
    assert (answer.status_code, answer.json()["refunds"]) == (202, [])
    assert answer.json()["asked_back"] == [str(session_id(2))]
    assert "refund.due" not in await billing.published()
    await billing.hear(session_unconfirmed(2, grant=1, reason="refund"))
    assert (await billing.published()).count("refund.due") == 1


async def test_a_refund_asked_for_twice_is_one_refund(billing: Billing) -> None:
    await book(billing, 1, PRICE + 700)
    wish = {"amount_cents": 300, **REASON}
    first = await billing.post(wish, key="once", role="biller", path=REFUNDS)
    again = await billing.post(wish, key="once", role="biller", path=REFUNDS)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert (await billing.published()).count("refund.due") == 1
    other = await billing.post({**wish, "amount_cents": 301}, key="once", role="biller", path=REFUNDS)
    assert (other.status_code, other.json()["title"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"amount_cents": 800, **REASON}, 409, "wrong_state"),
        ({"amount_cents": 100, "sessions": [str(session_id(1))], **REASON}, 409, "wrong_state"),
        ({"sessions": [str(session_id(9))], **REASON}, 404, "unknown_session"),
        ({"amount_cents": 0, **REASON}, 422, "invalid"),
        ({"amount_cents": 1.5, **REASON}, 422, "invalid"),
        ({"amount_cents": -1, **REASON}, 422, "invalid"),
        ({"amount_cents": 10**9, **REASON}, 422, "invalid"),
        ({"sessions": [], **REASON}, 422, "invalid"),
        ({"amount_cents": 100}, 422, "invalid"),
        ({"amount_cents": 100, "reason": ""}, 422, "invalid"),
        ({"amount_cents": 100, "reason": "a\u0000b"}, 422, "invalid"),
        ({"amount_cents": 100, "reason": "a\u202eb"}, 422, "invalid"),
        ({"amount_cents": 100, "course_id": str(COURSE), **REASON}, 422, "invalid"),
        ([], 422, "invalid"),
    ],
)
async def test_a_refund_that_cannot_be_is_refused_by_name(billing: Billing, wish: Any, status: int, code: str) -> None:
    await billing.hear(at_albany(1, hold_expires_at=NOW + DAY), payment_captured(700))
    answer = await billing.post(wish, role="biller", path=REFUNDS)
    assert (answer.status_code, answer.json()["title"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "refund.due" not in await billing.published()


async def test_a_refund_of_a_course_that_nobody_knows_leaves_no_trace_of_it(billing: Billing) -> None:
    answer = await billing.post(REASON, role="biller", path=f"/v1/courses/{NOBODY}/refunds")
    assert (answer.status_code, answer.json()["title"]) == (404, "not_found")
    assert await billing.query("SELECT 1 FROM accounts") == []


async def test_a_waiver_counts_as_the_price_and_names_who_stands_for_it(billing: Billing) -> None:
    await book(billing)
    answer = await billing.post({"by": "Avery Brooks", "reason": "hardship"}, role="biller", path=WAIVER)
    assert (answer.status_code, answer.json()) == (
        201,
        {"course_id": str(COURSE), "session_id": str(session_id(1)), "waived_by": "Avery Brooks"},
    )
    assert (await billing.published())[-1] == "prepayment.satisfied"
    account = (await billing.get(f"/v1/courses/{COURSE}/account")).json()
    assert [(s["basis"], s["prepaid_cents"]) for s in account["sessions"]] == [("waived", 0), (None, 0)]
    assert account["owed_cents"] == PRICE
    (kept,) = await billing.query(
        """SELECT waived_by, reason, caller, action FROM waivers JOIN audit ON request_id = message_id"""
    )
    assert tuple(kept) == ("Avery Brooks", "hardship", "biller", "waiver")


async def test_a_waiver_by_nobody_in_particular_is_the_key_owners(billing: Billing) -> None:
    await book(billing)
    answer = await billing.post({"reason": "hardship"}, role="biller", path=WAIVER)
    assert answer.json()["waived_by"] == "biller"


async def test_what_needs_no_waiver_is_refused_and_the_same_again_is_answered_the_same(billing: Billing) -> None:
    await book(billing)
    first = await billing.post({"reason": "hardship"}, key="w", role="biller", path=WAIVER)
    again = await billing.post({"reason": "hardship"}, key="w", role="biller", path=WAIVER)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    twice = await billing.post({"reason": "hardship"}, key="v", role="biller", path=WAIVER)
    assert (twice.status_code, twice.json()["title"]) == (409, "wrong_state")
    assert (await billing.published()).count("prepayment.satisfied") == 1


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "by": ""}, {"reason": "x", "amount_cents": 1}])
async def test_a_waiver_needs_a_reason_and_nothing_else(billing: Billing, body: dict[str, Any]) -> None:
    await book(billing)
    assert (await billing.post(body, role="biller", path=WAIVER)).status_code == 422


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        (REFUNDS, "front_desk", 403),
        (REFUNDS, "till", 403),
        (REFUNDS, "operator", 403),
        (REFUNDS, "biller", 201),
        (WAIVER, "front_desk", 403),
        (WAIVER, "till", 403),
        (WAIVER, "operator", 403),
        (WAIVER, "biller", 201),
        ("/v1/payments", "front_desk", 403),
        ("/v1/payments", "biller", 403),
        ("/v1/payments", "till", 201),
    ],
)
async def test_money_moves_for_those_alone_whose_work_it_is(
    billing: Billing, path: str, role: str, status: int
) -> None:
    await book(billing, 1, 700)
    body = payment_captured(100, "pay-2").model_dump(mode="json") if "payments" in path else REASON
    answer = await billing.post(body, role=role, path=path)
    assert answer.status_code == status
    assert (await trail(billing) == []) is (status == 403)


async def test_without_a_key_nothing_is_told(billing: Billing) -> None:
    for path in (REFUNDS, WAIVER, "/v1/payments"):
        assert (await billing.client.post(path, json={}, headers={"Idempotency-Key": "k"})).status_code == 401


async def test_a_request_without_an_idempotency_key_is_refused(billing: Billing) -> None:
    await book(billing)
    headers = {"Authorization": "Bearer a key of the biller"}
    for path in (REFUNDS, WAIVER):
        assert (await billing.client.post(path, json=REASON, headers=headers)).status_code == 400


async def test_the_trail_tells_who_asked_for_what_and_the_ledger_names_the_request(billing: Billing) -> None:
    await book(billing, 2)
    await billing.post(payment_captured(PRICE + 200).model_dump(mode="json"), key="a")
    await billing.post({"amount_cents": 200, "by": "Avery Brooks", **REASON}, key="b", role="biller", path=REFUNDS)
    other = f"/v1/sessions/{session_id(2)}/waiver"
    await billing.post({"reason": "hardship"}, key="c", role="biller", path=other)
    assert sorted(await trail(billing)) == [
        ("biller", "refund", str(COURSE), "Avery Brooks: moves away"),
        ("biller", "waiver", str(session_id(2)), "biller: hardship"),
        ("till", "payment", str(COURSE), "pay-1"),
    ]
    booked_by = await billing.query("SELECT kind, caller FROM entries JOIN audit ON request_id = cause ORDER BY kind")
    assert [tuple(row) for row in booked_by] == [("allocated", "till"), ("captured", "till"), ("refund_due", "biller")]


async def test_what_is_due_when_is_told_until_it_is_paid(billing: Billing) -> None:
    await book(billing, 2)
    path = f"/v1/courses/{COURSE}/account"
    due = (await billing.get(path)).json()
    assert (due["owed_cents"], due["due_at"]) == (
        2 * PRICE,
        (start(1) - 2 * DAY).isoformat().replace("+00:00", "Z"),
    )
    await billing.hear(payment_captured(2 * PRICE))
    due = (await billing.get(path)).json()
    assert (due["owed_cents"], due["due_at"]) == (0, None)


@pytest.mark.parametrize("id", [0, -1, 2**63, 10**30])
async def test_a_dead_letter_that_no_number_can_be_is_refused(billing: Billing, id: int) -> None:
    for action in ("retry", "discard"):
        answer = await billing.post(REASON, role="operator", path=f"/ops/dead-letters/{id}/{action}")
        assert (answer.status_code, answer.json()["title"]) == (422, "invalid")
    many = await billing.post({"ids": [id]}, role="operator", path="/ops/dead-letters/retry")
    assert many.status_code == 422
