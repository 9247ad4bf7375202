"""What people write back, from Twilio's webhook to our answer, on the real app and database."""

from typing import Any

import pytest

from services.reminders.people.hearing import decide_reply
from services.reminders.rules import decide
from services.reminders.text.provider import Accepted
from shared.decision.message import Message
from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR, MINUTE, NOW, OTHER_PATIENT, PATIENT, PHONE, start
from tests.stand_ins.reminders_front import Front, sid
from tests.stand_ins.reminders_story import K


async def test_stop_covers_everybody_on_the_phone_is_confirmed_once_and_then_there_is_silence(front: Front) -> None:
    await front.rig.hear(contact_updated().model_copy(update={"contact_id": OTHER_PATIENT}))
    await front.texted()
    answer = await front.write(" stop.")
    sent = await front.send()
    await front.write("STOP")
    await front.write("is anybody there?")
    await front.rig.walk(start(1))

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/xml")
    assert "<Response></Response>" in answer.text
    assert sent == ["booked", "opt_out_confirmed"]
    assert await front.send() == sent
    changed = [data for data in await front.told("consent.changed") if not data["allowed"]]
    assert [(data["contact_id"], data["source"]) for data in changed] == [(PATIENT, "text"), (OTHER_PATIENT, "text")]
    assert (await front.rig.became())[K.DAY_OF][1] == "opted_out"
    assert await front.rig.attention() == ["unclear_reply"]


async def test_what_is_not_understood_is_answered_at_once_even_at_night(front: Front) -> None:
    await front.texted()
    front.rig.clock.move(NOW + 15 * HOUR)  # midnight in Chicago
    await front.write("I do not want to live any more")

    assert await front.send() == ["booked", "unmonitored_reply"]
    body = front.rig.sender.texts[-1].body
    assert all(part in body for part in ("911", "988", "630-555-0136"))
    (reply,) = await front.told("reply.received")
    assert (reply["intent"], reply["course_id"]) == ("unclear", (await front.told("text.sent"))[0]["course_id"])


async def test_a_confirmation_that_cannot_go_out_in_five_minutes_never_does(front: Front) -> None:
    await front.texted()
    await front.write("stop")
    front.rig.clock.move(NOW + 6 * MINUTE)

    assert await front.send() == ["booked"]


async def test_stop_and_start_at_the_same_instant_count_in_the_order_in_which_they_came(front: Front) -> None:
    await front.texted()
    for word in ("stop", "start", "stop", "unstop"):
        await front.write(word)

    consent = (await front.get(f"/v1/contacts/{PATIENT}/consent")).json()
    assert (consent["allowed"], consent["opted_out"]) == (True, False)
    assert [entry["wording"] for entry in consent["entries"]] == ["form-1", "STOP", "START", "STOP", "START"]


async def test_numbers_and_words_are_where_they_may_be_and_nowhere_else(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await front.texted()
    for body in ("stop", "my secret is Zebra", "start", "C"):
        await front.write(body)
    await front.send()
    tables = await front.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for name in {table["tablename"] for table in tables} - {"contacts", "phones", "replies"}:
        stored = str(await front.rows(f"SELECT convert_to(t::text, 'UTF8') AS row FROM {name} t"))
        assert PHONE not in stored, name
        assert "Zebra" not in stored, name
    for row in await front.rows("SELECT key, value FROM outbox"):
        assert PHONE.encode() not in bytes(row["key"]) + bytes(row["value"])
        assert b"Zebra" not in bytes(row["key"]) + bytes(row["value"])
    assert PHONE not in caplog.text
    assert "Zebra" not in caplog.text


async def test_a_defect_keeps_what_was_said_and_never_holds_back_a_stop(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    await front.texted()
    worker = front.app.state.service.worker

    def fail(places: Any, conversation: Any, message: Message, contacts: Any) -> Any:
        if message.data.body == "C":  # type: ignore[attr-defined]
            raise ZeroDivisionError("Zebra")
        return decide_reply(places, conversation, message, contacts)

    monkeypatch.setattr(decide, "decide_reply", fail)
    assert (await front.write("C")).status_code == 200
    assert (await front.write("R")).status_code == 200
    assert (await front.write("stop")).status_code == 200
    letters = await front.rows("SELECT id, kind, topic, error_type FROM dead_letters ORDER BY id")
    assert [row["kind"] for row in letters] == ["defect", "held_back"]
    assert (await front.get(f"/v1/contacts/{PATIENT}/consent")).json()["opted_out"] is True
    (announced,) = await front.rows("SELECT key, value FROM outbox WHERE topic = 'reminders.dead-letters'")
    assert announced == {"key": None, "value": None}

    monkeypatch.undo()
    assert await worker.retry(letters[0]["id"], "operator") == 2
    assert [r["intent"] for r in await front.told("reply.received")] == ["opt_out", "confirm", "cannot_come"]


async def test_an_answer_that_a_provider_takes_is_told_by_contact(front: Front) -> None:
    await front.texted()
    front.rig.sender.outcome = Accepted(sid(8))
    await front.write("HELP")
    await front.send()

    (row,) = await front.rows("SELECT key FROM outbox WHERE convert_from(value, 'UTF8') LIKE '%\"kind\":\"help\"%'")
    assert bytes(row["key"]).decode() == PATIENT
