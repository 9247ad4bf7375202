"""Phones and what was said on them, on a real database."""

import asyncio

from tests.facts.clinic import contact_updated
from tests.facts.course import OTHER_PATIENT, PATIENT, PHONE, session_id, start
from tests.stand_ins.reminders_front import INBOUND, Front, sid, what_came


async def test_a_stop_covers_who_gets_the_number_afterwards(front: Front) -> None:
    await front.texted()
    await front.write("stop")
    await front.rig.hear(contact_updated().model_copy(update={"contact_id": OTHER_PATIENT}))

    consent = (await front.get(f"/v1/contacts/{OTHER_PATIENT}/consent")).json()
    assert (consent["allowed"], consent["opted_out"]) == (False, True)
    assert [entry["wording"] for entry in consent["entries"]] == ["form-1", "STOP"]


async def test_the_same_text_twenty_times_at_once_has_one_effect(front: Front) -> None:
    await front.texted()
    answers = await asyncio.gather(*(front.webhook(INBOUND, what_came("what?")) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]
    assert await front.send() == ["booked", "unmonitored_reply"]
    assert len(await front.rows("SELECT * FROM replies")) == 1


async def test_twenty_texts_at_once_from_a_phone_that_nobody_knew_are_one_conversation(front: Front) -> None:
    await asyncio.gather(*(front.webhook(INBOUND, what_came("hello", sid(n))) for n in range(1, 21)))

    assert len(await front.rows("SELECT * FROM phones")) == 1
    assert len(await front.rows("SELECT * FROM replies")) == 20
    assert set(await front.rig.attention()) == {"reply_from_nobody"}


async def test_c_is_about_the_next_appointment_that_was_texted(front: Front) -> None:
    await front.texted()
    await front.write("C")

    (reply,) = await front.told("reply.received")
    assert (reply["intent"], reply["session_id"]) == ("confirm", str(session_id(1)))


async def test_an_appointment_that_nobody_was_texted_about_is_not_confirmed(front: Front) -> None:
    await front.rig.planned()
    await front.write("C")

    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]


async def test_an_appointment_that_has_begun_is_not_confirmed_any_more(front: Front) -> None:
    await front.texted()
    front.rig.clock.move(start(1))
    await front.write("C")

    assert [reply["intent"] for reply in await front.told("reply.received")] == ["unclear"]


async def test_an_erased_persons_words_and_number_are_gone(front: Front) -> None:
    await front.texted()
    await front.write("call me")
    await front.rig.erase()

    (reply,) = await front.rows("SELECT body, contact_id, phone FROM replies JOIN phones USING (conversation_id)")
    assert reply == {"body": None, "contact_id": PATIENT, "phone": None}
    await front.write("it is me again")
    assert "reply_from_nobody" in await front.rig.attention()


async def test_a_number_that_somebody_else_has_too_stays_when_one_is_erased(front: Front) -> None:
    await front.rig.hear(contact_updated().model_copy(update={"contact_id": OTHER_PATIENT}))
    await front.texted()
    await front.write("call me")
    await front.rig.erase()

    assert [row["phone"] for row in await front.rows("SELECT phone FROM phones")] == [PHONE]
