"""People are kept for papers, wake those of their courses, and are forgotten on demand."""

from datetime import date

from shared.contract.clinic import PatientUpdated
from shared.decision.message import Record
from shared.postgres.query import run
from tests.facts.booking import session_confirmed
from tests.facts.clinic import patient_updated, payment_captured
from tests.facts.course import COURSE, HOUR, NOW, PATIENT, session_id
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_papers import NAME, RECEIPT, ROBIN, SUPERBILL, course, given, papers
from tests.stand_ins.billing_rig import Billing


async def test_a_person_is_kept_for_papers_and_forgotten_on_demand(billing: Billing) -> None:
    person = patient_updated(name=NAME, born_on=date(1980, 2, 29), no_claims=True)
    await billing.hear(person.model_copy(update={"name": "Earlier"}), person)
    (kept,) = await billing.query("SELECT * FROM patients")
    assert PatientUpdated.model_validate(dict(kept)) == person
    erasure = Record("clinic.patients", 0, 99, int(NOW.timestamp() * 1000), PATIENT.encode(), None, ())
    await billing.service.worker.on_records([erasure])
    assert await billing.query("SELECT * FROM patients") == []
    for table in ("outbox", "attention", "dead_letters", "accounts", "timers"):
        found = await billing.query(f"SELECT count(*) AS n FROM {table} t WHERE t::text LIKE :name", name=f"%{NAME}%")
        assert found[0].n == 0


async def test_patient_and_course_in_one_batch_are_enough(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    await billing.until(NOW)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_a_patient_told_again_has_nothing_looked_at(billing: Billing) -> None:
    await billing.hear(course(2), ROBIN)
    await billing.until(NOW)
    woken = "SELECT 1 FROM timers WHERE (kind, subject) = ('papers', 'patient')"
    await billing.hear(ROBIN)
    assert await billing.query(woken) == []
    await billing.hear(ROBIN.model_copy(update={"diagnoses": ("F33.1",)}))
    assert len(await billing.query(woken)) == 1


async def test_course_and_patient_that_did_not_see_each_other_meet_at_the_first_look(billing: Billing) -> None:
    await billing.hear(ROBIN, course(2))
    async with billing.service.database.begin() as connection:
        await run(connection, "DELETE FROM timers WHERE subject = 'patient'")  # as two processes at once would leave it
    await billing.until(NOW + 12 * HOUR - HOUR / 60)
    assert await papers(billing) == []
    await billing.until(NOW + 12 * HOUR)
    assert await papers(billing) == [("estimate", str(COURSE), 1)]


async def test_a_course_whose_patient_is_unknown_is_not_looked_at_before_its_first_look(billing: Billing) -> None:
    await billing.hear(course(2))
    due = await billing.query("SELECT subject, due_at FROM timers WHERE kind = 'papers'")
    assert [tuple(row) for row in due] == [("", NOW + 12 * HOUR)]


async def test_many_courses_of_one_patient_are_all_looked_at(billing: Billing) -> None:
    others = [session_id(number) for number in range(20, 25)]
    for number, id in enumerate(others):
        session = course(1).sessions[0].model_copy(update={"session_id": session_id(30 + number)})  # type: ignore[attr-defined]
        await billing.hear(course(1).model_copy(update={"course_id": id, "sessions": (session,)}))
    await billing.until(NOW)
    await billing.hear(ROBIN)
    await billing.until(NOW)
    assert await papers(billing) == sorted(("estimate", str(id), 1) for id in others)


async def test_who_is_erased_stands_on_no_paper_any_more(billing: Billing) -> None:
    await billing.hear(ROBIN, course(1), payment_captured(PRICE), session_confirmed(1), given())
    await billing.until(NOW)
    await billing.erase(PATIENT)
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
