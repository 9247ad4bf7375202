"""The queue of texts: how fast it goes, what goes first, and what must wait."""

import asyncio
from uuid import UUID

from services.reminders.store import queue
from services.reminders.store.contacts import load_contacts
from shared.postgres.query import run
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import COURSE, DAY, HOUR, MINUTE, NOW, PATIENT, start
from tests.stand_ins.reminders_rig import Rig, ScriptedSender
from tests.stand_ins.reminders_story import K


async def test_a_contact_that_is_just_being_changed_leaves_its_texts_for_later(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(NOW + 5 * MINUTE)
    async with rig.database.begin() as connection:
        await load_contacts(connection, [PATIENT], "FOR UPDATE OF contacts")
        sending = asyncio.create_task(rig.send())
        await asyncio.sleep(0.3)
        assert not sending.done()
        assert rig.sender.texts == []
    await sending
    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_the_texts_of_a_course_that_is_held_back_wait(rig: Rig) -> None:
    await rig.planned()
    async with rig.database.begin() as connection:
        await run(
            connection,
            """INSERT INTO dead_letters (message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset,
                                         timestamp_ms, headers, arrived_at)
               VALUES ('x', 'defect', :of, 'E', 'e', 't', 0, 0, 0, '', :now)""",
            of=f"course:{COURSE}",
            now=rig.clock.now(),
        )
    await rig.walk(NOW + HOUR)

    assert rig.sender.texts == []
    assert await rig.next_due() is None


async def test_a_number_sends_no_faster_than_its_rate_and_what_is_for_today_first(rig: Rig) -> None:
    sender = ScriptedSender()
    replicas = [rig.dispatcher(sender, {"stella": 10}), rig.dispatcher(sender, {"stella": 10})]
    people = [contact_updated(contact_id=f"p-{n}", phone=f"+1312555{n:04}") for n in range(30)]
    await rig.hear(*people)
    for n, person in enumerate(people):
        id, session = UUID(int=2000 + n), UUID(int=n + 1)
        course = course_accepted(1).model_copy(
            update={
                "course_id": id,
                "patient_id": person.contact_id,
                "sessions": (course_accepted(1).sessions[0].model_copy(update={"session_id": session}),),
            }
        )
        told = {"course_id": id, "session_id": session, "patient_id": person.contact_id}
        await rig.hear(course, session_confirmed().model_copy(update=told))
    begun = asyncio.get_running_loop().time()
    rig.clock.move(start(1) - 2 * HOUR)  # all that came before is too late, or due
    running = [asyncio.create_task(replica.run()) for replica in replicas]
    while sum(text.kind is K.DAY_OF for text in sender.texts) < 30:  # noqa: ASYNC110 - nothing rings then
        await asyncio.sleep(0.01)
    took = asyncio.get_running_loop().time() - begun
    for task in running:
        task.cancel()
    await asyncio.wait(running)

    segments = sum(text.segments for text in sender.texts)
    assert segments <= 10 * (took + 1)
    assert len({text.text_id for text in sender.texts}) == len(sender.texts)
    assert {text.kind for text in sender.texts[:30]} == {K.DAY_OF}


async def test_who_comes_again_is_not_asked_to_come_again(rig: Rig) -> None:
    async with rig.database.begin() as connection:
        await run(
            connection,
            "INSERT INTO courses (course_id, patient_id, location) VALUES (:a, :p, 'stella'), (:b, :p, 'stella')",
            a=COURSE,
            b=UUID(int=7),
            p=PATIENT,
        )
        for id, kind, occasion in ((COURSE, "payment_due", NOW.date()), (UUID(int=7), "booster_due", None)):
            await run(
                connection,
                """INSERT INTO texts (text_id, course_id, contact_id, kind, state, nominal_at, due_at, look_at,
                                      deadline_at, occasion)
                   VALUES (gen_random_uuid(), :id, :p, :kind, 'scheduled', :at, :at, :at, :till, :on)""",
                id=id,
                p=PATIENT,
                kind=kind,
                at=NOW + DAY,
                till=NOW + 3 * DAY,
                on=occasion,
            )
        expected = await queue.expected_again(connection, [(UUID(int=7), PATIENT), (COURSE, "patient-2")])
    assert expected == {PATIENT}
