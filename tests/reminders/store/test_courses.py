"""Courses in the database."""

from services.reminders.store import queue
from services.reminders.store.contacts import load_contacts
from shared.postgres.query import rows, run
from tests.facts.billing import prepayment_required
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.course import COURSE, PATIENT
from tests.stand_ins.reminders_rig import Rig
from tests.stand_ins.reminders_story import K


async def test_a_course_survives_being_stored(rig: Rig) -> None:
    await rig.hear(prepayment_required(1))
    assert len((await rig.course()).waiting) == 1
    await rig.hear(course_accepted(1), session_confirmed())
    course = await rig.course()

    assert course.waiting == ()
    assert {text.kind for text in course.texts} == {K.BOOKED, K.PAYMENT_DUE, K.PREPARATION, K.DAY_BEFORE, K.DAY_OF}
    async with rig.database.begin() as connection:
        assert (await load_contacts(connection, [PATIENT])) == {}
        assert await queue.next_claim_at(connection, ["nowhere"]) is None


async def test_a_courses_texts_are_found_without_looking_through_all(rig: Rig) -> None:
    async with rig.database.begin() as connection:
        await run(connection, "SET LOCAL enable_seqscan = off")
        plan = await rows(connection, "EXPLAIN SELECT FROM texts WHERE course_id = :id", id=COURSE)
    assert not any("Seq Scan" in line for (line,) in plan), plan
