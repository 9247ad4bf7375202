"""Papers on PostgreSQL: they follow whatever comes last, and are kept as they were issued, where they may be."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from asyncpg import PostgresError

from services.billing.store.accounts import load
from shared.contract.booking import SessionCompleted
from shared.contract.closed_sets import Payer
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.message import Message
from tests.facts.booking import session_confirmed, session_rescheduled
from tests.facts.clinic import payment_captured
from tests.facts.course import COURSE, DAY, HOUR, NOW, session_id, start
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_papers import (
    DIAGNOSIS,
    ESTIMATE,
    NAME,
    RECEIPT,
    ROBIN,
    SUPERBILL,
    asked,
    course,
    events_of,
    given,
    papers,
)
from tests.stand_ins.billing_rig import Billing

MOVED = session_rescheduled(2, starts_at=start(4), provider="provider-1")
MESSAGES: dict[str, EventData] = {
    "patient": ROBIN,
    "course": course(2),
    "money": payment_captured(PRICE),
    "moved": MOVED,
}
ORDERS = [order for order in permutations(MESSAGES) if order.index("course") < order.index("moved")]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_in_any_order_the_last_estimate_is_the_same(billing: Billing, order: Sequence[str]) -> None:
    for name in order:
        await billing.hear(MESSAGES[name])
        await billing.until(NOW)
    html = (await billing.get(ESTIMATE)).text
    assert html.count("<td>Thu Mar 19, 2026</td>") == 2, "the moved session's infusion and its drug"
    assert "Sun Nov 15" not in html
    assert "Total expected charges: $900.00" in html
    (last,) = (await events_of(billing, "estimate.issued"))[-1:]
    assert (last["estimate_id"], last["total_cents"]) == (str(COURSE), 2 * PRICE)
    assert await billing.query("SELECT 1 FROM timers WHERE kind IN ('papers', 'estimate')") == []


async def test_without_data_a_person_is_asked_on_the_last_day_and_the_estimate_follows_the_data(
    billing: Billing,
) -> None:
    await billing.hear(course(2))
    await billing.until(NOW + 15 * HOUR - HOUR / 60)
    assert (await papers(billing), await asked(billing)) == ([], [])
    await billing.until(NOW + 15 * HOUR)  # Tuesday, midnight in Chicago: eight business days ahead, one to issue it in
    assert await asked(billing) == [("estimate_without_data", str(COURSE))]
    await billing.hear(ROBIN, at=NOW + 20 * HOUR)
    await billing.until(NOW + 20 * HOUR)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_prepayment_names_the_estimate_of_who_pays_themselves(billing: Billing) -> None:
    await billing.hear(course(1))
    (required,) = await events_of(billing, "prepayment.required")
    assert required["estimate_id"] == str(COURSE)


async def test_a_visit_that_was_paid_has_superbill_and_receipt(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1), payment_captured(PRICE), session_confirmed(1), given())
    await billing.until(NOW)
    assert await papers(billing) == [("receipt", str(session_id(1)), 1), ("superbill", str(session_id(1)), 1)]
    (issued,) = await events_of(billing, "superbill.issued")
    assert issued == {
        "course_id": str(COURSE),
        "session_id": str(session_id(1)),
        "superbill_id": str(session_id(1)),
    }
    for path, fact in ((SUPERBILL, "96365"), (RECEIPT, "Paid by: card")):
        answer = await billing.get(path, "front_desk")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert NAME in answer.text
        assert fact in answer.text


async def test_data_that_comes_after_care_brings_the_superbill(billing: Billing) -> None:
    await billing.hear(course(1), payment_captured(PRICE), session_confirmed(1))
    await billing.until(NOW + 2 * DAY)
    after = start(1) + 2 * HOUR
    await billing.hear(given(), at=after)
    await billing.until(after + 2 * DAY)
    assert await asked(billing) == [
        ("estimate_without_data", str(COURSE)),
        ("visit_without_data", str(session_id(1))),
    ]
    await billing.hear(ROBIN, at=after + 2 * DAY)
    await billing.until(after + 2 * DAY)
    assert [kind for kind, _, _ in await papers(billing)] == ["receipt", "superbill"]


async def test_who_pays_after_care_gets_the_papers_then(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1), given(), at=start(1) + 2 * HOUR)
    await billing.until(start(1) + 2 * HOUR)
    assert [kind for kind, _, _ in await papers(billing) if kind != "estimate"] == []
    await billing.hear(payment_captured(PRICE), at=start(1) + 3 * HOUR)
    await billing.until(start(1) + 3 * HOUR)
    assert [kind for kind, _, _ in await papers(billing) if kind != "estimate"] == ["receipt", "superbill"]


async def test_services_that_the_floor_names_stand_on_the_superbill(billing: Billing) -> None:
    services = [{"code": "99213", "units": 1, "modifiers": ["25"]}]
    visit = SessionCompleted.model_validate(given(minutes=100).model_dump() | {"services": services})
    await billing.hear(ROBIN, course(1), payment_captured(PRICE), session_confirmed(1), visit)
    await billing.until(NOW)
    html = (await billing.get(SUPERBILL)).text
    for code in ("96365", "96366", "J3490", "99213-25"):
        assert f"<td>{code}</td>" in html


async def test_who_is_insured_off_label_pays_in_full_and_gets_a_superbill_and_no_estimate(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1, payer=Payer.INSURANCE), payment_captured(PRICE), session_confirmed(1), given())
    await billing.until(NOW)
    assert [kind for kind, _, _ in await papers(billing)] == ["receipt", "superbill"]
    assert (await events_of(billing, "prepayment.required"))[0].get("estimate_id") is None


async def test_papers_do_not_change(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(NOW)
    for change in ("UPDATE papers SET version = 7", "UPDATE papers SET issued_at = now()", "DELETE FROM papers"):
        with pytest.raises(PostgresError, match="permission denied"):
            await billing.query(change)
    for change in ("UPDATE audit SET caller = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(PostgresError, match="permission denied"):
            await billing.query(change)


async def test_no_personal_data_leaves_the_papers(billing: Billing, caplog: pytest.LogCaptureFixture) -> None:
    await billing.hear(ROBIN, course(2), payment_captured(PRICE), session_confirmed(1), given())
    await billing.until(NOW + 20 * DAY)
    await billing.get(ESTIMATE)
    for table in ("outbox", "attention", "dead_letters", "accounts", "shares", "timers", "audit", "inbox"):
        for word in (NAME, DIAGNOSIS):
            found = await billing.query(f"SELECT count(*) FROM {table} t WHERE t::text LIKE :word", word=f"%{word}%")
            assert found[0][0] == 0, table
            values = await billing.query("SELECT value FROM outbox")
            assert not any(word.encode() in row.value for row in values)
    assert NAME not in caplog.text


async def test_a_defect_in_a_paper_holds_back_no_money(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError(NAME)

    monkeypatch.setattr("services.billing.papers.decide.page", broken)
    await billing.hear(ROBIN, course(1))
    await billing.until(NOW)
    (letter,) = await billing.query("SELECT id, kind, aggregate FROM dead_letters WHERE status = 'open'")
    assert (letter.kind, letter.aggregate) == ("defect", f"papers:{COURSE}")
    await billing.hear(payment_captured(PRICE))
    assert len(await events_of(billing, "prepayment.satisfied")) == 1
    monkeypatch.undo()
    await billing.service.worker.retry(letter.id, "somebody")
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_papers_and_money_of_a_course_wait_for_each_other(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    look = TimerDue(of=f"papers:{COURSE}", kind="papers", subject="", due_at=NOW)
    async with billing.service.database.begin() as connection:
        await load({}, connection, [Message("look", look.type, "timers", NOW, NOW, look)])
        free = await billing.query("SELECT 1 FROM accounts FOR UPDATE SKIP LOCKED")
    assert free == [], "or an event of money could stand before an earlier one of papers"
