"""The provider refuses who sends, not a text: texts wait, one tries again, and none is lost."""

from datetime import datetime
from uuid import UUID

import pytest

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Mood
from services.reminders.gauges import look
from services.reminders.sending.twilio import TwilioSender
from services.reminders.text.provider import Accepted, Barred, Outcome, OutgoingText, ProviderRefused
from services.reminders.text.text import TextState
from shared.postgres.query import rows
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR, MINUTE, NOW
from tests.stand_ins.reminders_front import NUMBERS
from tests.stand_ins.reminders_rig import Rig, ScriptedSender
from tests.stand_ins.reminders_story import K

COURSES = 30


class OneNumberRefused(ScriptedSender):
    """The number of stella is refused."""

    async def send(self, text: OutgoingText) -> Outcome:
        await super().send(text)
        return Barred("21606", number=True) if text.clinic == "stella" else Accepted(f"SM{text.attempt_id.hex}")


async def many(rig: Rig) -> None:
    """Many courses of one patient, each with a text that is due now."""
    await rig.hear(contact_updated())
    for n in range(1, COURSES + 1):
        session = course_accepted(1).sessions[0].model_copy(update={"session_id": UUID(int=n)})
        course = {"course_id": UUID(int=1000 + n)}
        await rig.hear(
            course_accepted(1).model_copy(update=course | {"sessions": (session,)}),
            session_confirmed().model_copy(update=course | {"session_id": UUID(int=n)}),
        )


async def states(rig: Rig) -> set[str]:
    """Of all texts that were due."""
    async with rig.database.begin() as connection:
        return {row.state for row in await rows(connection, "SELECT state FROM texts WHERE kind = 'booked'")}


async def tries(rig: Rig) -> int:
    """How often in a row the sender was refused."""
    async with rig.database.begin() as connection:
        return sum(row.tries for row in await rows(connection, "SELECT tries FROM stops"))


@pytest.mark.parametrize("refusal", [Barred("20003"), Barred("21606", number=True)], ids=["account", "number"])
async def test_texts_wait_while_the_sender_is_refused_and_all_go_afterwards(rig: Rig, refusal: Barred) -> None:
    rig.sender.outcome = refusal
    await many(rig)
    await rig.send()
    assert await states(rig) == {TextState.SCHEDULED}
    calls = len(rig.sender.texts)
    await rig.walk(NOW + HOUR)
    assert await states(rig) == {TextState.SCHEDULED}
    assert len(rig.sender.texts) == calls + 7, "30 s, then 1, 2, 4, 8, 15 and 15 minutes later one text tries"
    assert await rig.attention() == ["sender_refused"]
    assert [type for type, _ in await rig.told() if type.startswith("reminders.text.")] == []

    rig.sender.outcome = None
    await rig.walk(NOW + 2 * HOUR)
    assert await states(rig) == {TextState.SENT}
    assert await tries(rig) == 0
    accepted = [text.text_id for text in rig.sender.texts[calls + 7 :]]
    assert len(accepted) == len(set(accepted)) == COURSES


async def test_a_refused_text_shows_that_the_sender_is_taken_again(rig: Rig) -> None:
    rig.sender.outcome = Barred("20003")
    await many(rig)
    await rig.send()
    rig.sender.outcome = ProviderRefused("21211")
    await rig.walk(NOW + MINUTE)
    assert await tries(rig) == 0
    assert await states(rig) == {TextState.FAILED}


async def test_a_refused_number_stops_no_other_clinic(rig: Rig) -> None:
    await rig.hear(contact_updated(), course_accepted(1), session_confirmed())
    elsewhere = {"course_id": UUID(int=2000), "location": "albany"}
    session = course_accepted(1).sessions[0].model_copy(update={"session_id": UUID(int=2001)})
    await rig.hear(
        course_accepted(1).model_copy(update=elsewhere | {"sessions": (session,)}),
        session_confirmed().model_copy(update=elsewhere | {"session_id": UUID(int=2001)}),
    )
    rig.dispatch = rig.dispatcher(OneNumberRefused())
    await rig.walk(NOW + MINUTE)
    assert (await rig.became())[K.BOOKED][0] is TextState.SCHEDULED
    async with rig.database.begin() as connection:
        sent = await rows(
            connection, "SELECT c.location FROM texts JOIN courses c USING (course_id) WHERE state = 'sent'"
        )
    assert [tuple(row) for row in sent] == [("albany",)]


class OneTextRefused(ScriptedSender):
    """The first text is refused as if its sender were, whenever it comes."""

    async def send(self, text: OutgoingText) -> Outcome:
        await super().send(text)
        first = text.text_id == self.texts[0].text_id
        return Barred("21606", number=True) if first else Accepted(f"SM{text.attempt_id.hex}")


async def test_one_text_for_which_alone_the_sender_is_refused_keeps_no_others_waiting(rig: Rig) -> None:
    await many(rig)
    rig.dispatch = rig.dispatcher(sender := OneTextRefused())
    await rig.walk(NOW + HOUR)
    async with rig.database.begin() as connection:
        waiting = await rows(connection, "SELECT text_id FROM texts WHERE kind = 'booked' AND state <> 'sent'")
    assert [row.text_id for row in waiting] == [sender.texts[0].text_id]


async def test_a_refused_number_shows_that_the_account_is_taken_again(rig: Rig) -> None:
    rig.sender.outcome = Barred("20003")
    await many(rig)
    await rig.send()
    rig.sender.outcome = Barred("21606", number=True)
    await rig.walk(NOW + MINUTE)
    async with rig.database.begin() as connection:
        assert [row.clinic for row in await rows(connection, "SELECT clinic FROM stops")] == ["stella"]
    rig.sender.outcome = None
    await rig.walk(NOW + HOUR)
    assert await states(rig) == {TextState.SENT}


async def test_two_replicas_try_with_one_text_between_them(rig: Rig) -> None:
    rig.sender.outcome = Barred("20005")
    await many(rig)
    await rig.send(rig.dispatcher(rig.sender))
    calls = len(rig.sender.texts)
    rig.clock.move(NOW + MINUTE)
    await rig.send(rig.dispatcher(rig.sender))
    assert len(rig.sender.texts) == calls + 1


@pytest.mark.parametrize("mood", [Mood.UNAUTHORIZED, Mood.SUSPENDED, Mood.FOREIGN_NUMBER])
async def test_the_sdk_meets_each_refusal_and_nothing_is_lost(rig: Rig, mood: Mood) -> None:
    await many(rig)
    async with FakeTwilio() as twilio:
        twilio.mood = mood
        sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, NUMBERS, twilio.url)
        rig.dispatch = rig.dispatcher(sender)
        try:
            await rig.send()
            assert await states(rig) == {TextState.SCHEDULED}
            twilio.mood = Mood.ACCEPT
            rig.clock.move(NOW + MINUTE)
            await rig.send()
            assert await states(rig) == {TextState.SENT}
        finally:
            await sender.close()
    assert len(twilio.taken) == COURSES


async def test_a_stop_is_told_to_prometheus_and_its_texts_are_not_called_late(rig: Rig) -> None:
    rig.sender.outcome = Barred("20003")
    await many(rig)
    await rig.send()
    now: datetime = NOW + HOUR
    async with rig.database.begin() as connection:
        read = {family.name: family.samples for family in await look({"stella": "stella"})(connection, now)}
    assert [(s.labels["clinic"], s.value) for s in read["chairtime_sender_refused"]] == [("", 1)]
    assert [s.value for s in read["chairtime_texts_overdue"]] == [0]
