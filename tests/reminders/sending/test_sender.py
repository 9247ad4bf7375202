"""The console instead of a provider."""

from dataclasses import replace

from services.reminders.sending.sender import ConsoleSender
from services.reminders.store.texts import texts_on_record
from services.reminders.text.provider import Accepted, OutgoingText
from tests.facts.course import HOUR, NOW, PHONE
from tests.stand_ins.outgoing_text import TEXT
from tests.stand_ins.reminders_rig import Rig


async def test_console_texts_are_on_record(rig: Rig) -> None:
    shown: list[OutgoingText] = []
    rig.dispatch = rig.dispatcher(ConsoleSender(shown.append))
    await rig.planned()
    await rig.walk(NOW + HOUR)

    assert [replace(text, body="") for text in shown] == [replace(text, body="") for text in shown if text.to == PHONE]
    ids = [text.text_id for text in (await rig.course()).texts]
    async with rig.database.begin() as connection:
        record = await texts_on_record(connection, ids)
    assert [sent.body for sent in record.values() if sent.body] == [shown[0].body]


async def test_the_console_shows_each_text_once() -> None:
    shown: list[OutgoingText] = []
    sender = ConsoleSender(shown.append)

    assert await sender.send(TEXT) == Accepted(f"SM{TEXT.attempt_id.hex}")
    assert shown == [TEXT]
