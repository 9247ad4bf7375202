"""Papers on PostgreSQL: they follow whatever comes last, and are kept as they were issued, where they may be."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest
from asyncpg import PostgresError

from services.billing.papers.folder import Kind
from services.billing.store.accounts import load
from shared.contract.booking import SessionCancelled, SessionCompleted, SessionRescheduled
from shared.contract.clinic import PatientUpdated
from shared.contract.closed_sets import Payer
from shared.contract.internal import TimerDue
from shared.contract.register import EventData
from shared.decision.message import Message
from shared.postgres.query import run
from tests.billing_rig import Billing, running
from tests.billing_story import COURSE, DAY, HOUR, PRICE, T0, accepted, confirmed, paid, session_id, starts_at, told
from tests.callers import keys_file

NAME = "Canary Q. Patient"
DIAGNOSIS = "F33.2"
ROBIN = PatientUpdated(patient_id="p-1", name=NAME, born_on=date(1980, 2, 29), diagnoses=(DIAGNOSIS,))
ESTIMATE = f"/v1/estimates/{COURSE}"
SUPERBILL, RECEIPT = f"/v1/superbills/{session_id(1)}", f"/v1/receipts/{session_id(1)}"


@pytest.fixture
async def billing(databases: dict[str, str], tmp_path: Path) -> AsyncIterator[Billing]:
    async with running(databases["billing"], keys_file(tmp_path)) as service:
        yield service


def course(of: int = 2, **more: Any) -> EventData:
    """The story's course at Albany, with a provider of its profile."""
    sessions = accepted(of).sessions
    known = tuple(session.model_copy(update={"provider": "provider-1"}) for session in sessions)
    return accepted(of, treatment="ketamine_induction", sessions=known, **more)


def given(number: int = 1, minutes: int = 40) -> EventData:
    start = starts_at(number) + HOUR / 4
    times = {"started_at": start, "ended_at": start + timedelta(minutes=minutes)}
    return told(SessionCompleted, number, provider="provider-1", **times)


async def papers(billing: Billing) -> list[tuple[str, str, int]]:
    """Kind, id and version of every paper."""
    found = await billing.query("SELECT kind, paper_id, version FROM papers ORDER BY kind, paper_id, version")
    return [(row.kind, str(row.paper_id), row.version) for row in found]


async def told_of(billing: Billing, kind: str) -> list[dict[str, Any]]:
    """The data of the events of one type, in order."""
    found = await billing.query("SELECT convert_from(headers, 'UTF8') AS headers, value FROM outbox ORDER BY id")
    return [orjson.loads(row.value) for row in found if f'"billing.{kind}.v1"' in row.headers]


async def asked(billing: Billing) -> list[tuple[str, str]]:
    found = await billing.query("SELECT kind, subject FROM attention ORDER BY kind, subject")
    return [(row.kind, row.subject) for row in found]


MOVED = told(SessionRescheduled, 2, at=starts_at(4), provider="provider-1")
MESSAGES: dict[str, EventData] = {"patient": ROBIN, "course": course(2), "money": paid(PRICE), "moved": MOVED}
ORDERS = [order for order in permutations(MESSAGES) if order.index("course") < order.index("moved")]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_in_any_order_the_last_estimate_is_the_same(billing: Billing, order: Sequence[str]) -> None:
    for name in order:
        await billing.hear(MESSAGES[name])
        await billing.until(T0)
    html = (await billing.get(ESTIMATE)).text
    assert html.count("<td>Sat Nov 21, 2026</td>") == 2, "the moved session's infusion and its drug"
    assert "Sun Nov 15" not in html
    assert "Total expected charges: $900.00" in html
    (last,) = (await told_of(billing, "estimate.issued"))[-1:]
    assert (last["estimate_id"], last["total_cents"]) == (str(COURSE), 2 * PRICE)
    assert await billing.query("SELECT 1 FROM timers WHERE kind IN ('papers', 'estimate')") == []


async def test_patient_and_course_in_one_batch_are_enough(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    await billing.until(T0)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_a_patient_told_again_has_nothing_looked_at(billing: Billing) -> None:
    await billing.hear(course(2), ROBIN)
    await billing.until(T0)
    woken = "SELECT 1 FROM timers WHERE (kind, subject) = ('papers', 'patient')"
    await billing.hear(ROBIN)
    assert await billing.query(woken) == []
    await billing.hear(ROBIN.model_copy(update={"diagnoses": ("F33.1",)}))
    assert len(await billing.query(woken)) == 1


async def test_course_and_patient_that_did_not_see_each_other_meet_at_the_first_look(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    async with billing.service.database.begin() as connection:
        await run(connection, "DELETE FROM timers WHERE subject = 'patient'")  # as two processes at once would leave it
    await billing.until(T0 + 12 * HOUR - HOUR / 60)
    assert await papers(billing) == []
    await billing.until(T0 + 12 * HOUR)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_a_course_whose_patient_is_unknown_is_not_looked_at_before_its_first_look(billing: Billing) -> None:
    await billing.hear(course(2))
    due = await billing.query("SELECT subject, due_at FROM timers WHERE kind = 'papers'")
    assert [tuple(row) for row in due] == [("", T0 + 12 * HOUR)]


async def test_without_data_a_person_is_asked_on_the_last_day_and_the_estimate_follows_the_data(
    billing: Billing,
) -> None:
    await billing.hear(course(2))
    await billing.until(T0 + 15 * HOUR - HOUR / 60)
    assert (await papers(billing), await asked(billing)) == ([], [])
    await billing.until(T0 + 15 * HOUR)  # Tuesday, midnight in Chicago: eight business days ahead, one to issue it in
    assert await asked(billing) == [("estimate_without_data", str(COURSE))]
    await billing.hear(ROBIN, at=T0 + 20 * HOUR)
    await billing.until(T0 + 20 * HOUR)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_many_courses_of_one_patient_are_all_looked_at(billing: Billing) -> None:
    others = [session_id(number) for number in range(20, 25)]
    for number, id in enumerate(others):
        session = course(1).sessions[0].model_copy(update={"session_id": session_id(30 + number)})  # type: ignore[attr-defined]
        await billing.hear(course(1).model_copy(update={"course_id": id, "sessions": (session,)}))
    await billing.until(T0)
    await billing.hear(ROBIN)
    await billing.until(T0)
    assert await papers(billing) == sorted(("estimate", str(id), 1) for id in others)


async def test_prepayment_names_the_estimate_of_who_pays_themselves(billing: Billing) -> None:
    await billing.hear(course(1))
    (required,) = await told_of(billing, "prepayment.required")
    assert required["estimate_id"] == str(COURSE)


async def test_a_visit_that_was_paid_has_superbill_and_receipt(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1), paid(PRICE), confirmed(1), given())
    await billing.until(T0)
    assert await papers(billing) == [("receipt", str(session_id(1)), 1), ("superbill", str(session_id(1)), 1)]
    (issued,) = await told_of(billing, "superbill.issued")
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
    await billing.hear(course(1), paid(PRICE), confirmed(1))
    await billing.until(T0 + 2 * DAY)
    after = starts_at(1) + 2 * HOUR
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
    await billing.hear(ROBIN, course(1), given(), at=starts_at(1) + 2 * HOUR)
    await billing.until(starts_at(1) + 2 * HOUR)
    assert [kind for kind, _, _ in await papers(billing) if kind != "estimate"] == []
    await billing.hear(paid(PRICE), at=starts_at(1) + 3 * HOUR)
    await billing.until(starts_at(1) + 3 * HOUR)
    assert [kind for kind, _, _ in await papers(billing) if kind != "estimate"] == ["receipt", "superbill"]


async def test_services_that_the_floor_names_stand_on_the_superbill(billing: Billing) -> None:
    services = [{"code": "99213", "units": 1, "modifiers": ["25"]}]
    visit = SessionCompleted.model_validate(given(minutes=100).model_dump() | {"services": services})
    await billing.hear(ROBIN, course(1), paid(PRICE), confirmed(1), visit)
    await billing.until(T0)
    html = (await billing.get(SUPERBILL)).text
    for code in ("96365", "96366", "J3490", "99213-25"):
        assert f"<td>{code}</td>" in html


async def test_who_is_insured_off_label_pays_in_full_and_gets_a_superbill_and_no_estimate(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1, payer=Payer.INSURANCE), paid(PRICE), confirmed(1), given())
    await billing.until(T0)
    assert [kind for kind, _, _ in await papers(billing)] == ["receipt", "superbill"]
    assert (await told_of(billing, "prepayment.required"))[0].get("estimate_id") is None


async def test_every_version_can_be_shown_again(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    await billing.until(T0)
    first = (await billing.get(ESTIMATE)).text
    await billing.hear(told(SessionCancelled, 2), at=T0 + DAY)
    await billing.until(T0 + DAY)
    newest = (await billing.get(ESTIMATE)).text
    assert ("version 1, issued Mon Nov 2" in first, "version 2, issued Tue Nov 3" in newest) == (True, True)
    assert (await billing.get(f"{ESTIMATE}?version=1")).text == first
    assert (await billing.get(f"{ESTIMATE}?version=2")).text == newest
    assert (await billing.get(f"{ESTIMATE}?version=3")).status_code == 404
    assert [event["version"] for event in await told_of(billing, "estimate.issued")] == [1, 2]


async def test_papers_do_not_change(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(T0)
    for change in ("UPDATE papers SET version = 7", "UPDATE papers SET issued_at = now()", "DELETE FROM papers"):
        with pytest.raises(PostgresError, match="permission denied"):
            await billing.query(change)
    for change in ("UPDATE audit SET caller = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(PostgresError, match="permission denied"):
            await billing.query(change)


async def test_who_is_erased_stands_on_no_paper_any_more(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1), paid(PRICE), confirmed(1), given())
    await billing.until(T0)
    await billing.erase("p-1")
    for path in (SUPERBILL, RECEIPT):
        answer = await billing.get(path)
        assert (answer.status_code, answer.json()["title"]) == (410, "erased")
    assert len(await papers(billing)) == 2, "that they were issued is known"
    await nowhere(billing, NAME)


async def nowhere(billing: Billing, word: str) -> None:
    """Look for a word in every table of the database."""
    tables = await billing.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert len(tables) > 15
    for (table,) in tables:
        if table == "alembic_version":
            continue
        found = await billing.query(f"SELECT count(*) FROM {table} t WHERE t::text LIKE :word", word=f"%{word}%")
        assert found[0][0] == 0, table


async def test_no_personal_data_leaves_the_papers(billing: Billing, caplog: pytest.LogCaptureFixture) -> None:
    await billing.hear(ROBIN, course(2), paid(PRICE), confirmed(1), given())
    await billing.until(T0 + 20 * DAY)
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

    monkeypatch.setattr("services.billing.papers.page", broken)
    await billing.hear(ROBIN, course(1))
    await billing.until(T0)
    (letter,) = await billing.query("SELECT id, kind, aggregate FROM dead_letters WHERE status = 'open'")
    assert (letter.kind, letter.aggregate) == ("defect", f"papers:{COURSE}")
    await billing.hear(paid(PRICE))
    assert len(await told_of(billing, "prepayment.satisfied")) == 1
    monkeypatch.undo()
    await billing.service.worker.retry(letter.id, "somebody")
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_papers_and_money_of_a_course_wait_for_each_other(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    look = TimerDue(of=f"papers:{COURSE}", kind="papers", subject="", due_at=T0)
    async with billing.service.database.begin() as connection:
        await load({}, connection, [Message("look", look.type, "timers", T0, T0, look)])
        free = await billing.query("SELECT 1 FROM accounts FOR UPDATE SKIP LOCKED")
    assert free == [], "or an event of money could stand before an earlier one of papers"


async def test_who_looked_at_a_paper_is_known(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(T0)
    await billing.get(ESTIMATE, "front_desk")
    await billing.get(ESTIMATE, "biller")
    found = await billing.query("SELECT caller, action, subject, detail FROM audit ORDER BY caller")
    assert [tuple(row) for row in found] == [
        ("biller", "show_estimate", str(COURSE), "version 1"),
        ("front_desk", "show_estimate", str(COURSE), "version 1"),
    ]


async def test_a_page_is_kept_nowhere_and_fetches_nothing(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1))
    await billing.until(T0)
    headers = (await billing.get(ESTIMATE)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("kind", list(Kind))
async def test_papers_need_a_key_with_a_role(billing: Billing, kind: Kind) -> None:
    path = f"/v1/{kind}s/{COURSE}"
    assert (await billing.client.get(path)).status_code == 401
    assert (await billing.get(path, "operator")).status_code == 403
    assert (await billing.get(path)).status_code == 404
    assert (await billing.get(f"/v1/{kind}s/5")).status_code == 422
