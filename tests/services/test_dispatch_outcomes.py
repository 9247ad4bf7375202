"""What becomes of a text whose sending fails, and of one that two want to touch at the same time."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from deploy.preparing.databases import provision
from services.reminders.store.contacts import load_contacts
from services.reminders.text.provider import Refused, Unknown, Unsent
from services.reminders.text.text import TextState
from shared.postgres.query import run
from tests.reminders_rig import MINUTE, K, Rig, ScriptedSender, cancelled, confirmed, open_rig
from tests.reminders_story import COURSE_ID, DAY, HOUR, MONDAY, PATIENT, accepted, contact, required, starts_at


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_outcomes")["reminders"]


@pytest.fixture
async def rig(reminders_url: str) -> AsyncIterator[Rig]:
    async with open_rig(reminders_url) as rig:
        yield rig


async def test_what_was_proven_unsent_is_tried_again_with_back_off(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = Unsent("20429")
    await rig.walk(MONDAY + 6 * MINUTE)
    tries = [text.at - MONDAY for text in rig.sender.texts]
    rig.sender.outcome = None
    await rig.walk(MONDAY + HOUR)

    assert tries[:3] == [0 * MINUTE, 0.5 * MINUTE, 1.5 * MINUTE]
    assert [text.at - MONDAY for text in rig.sender.texts] == [*tries, 7.5 * MINUTE]
    assert len({text.attempt_id for text in rig.sender.texts}) == 5
    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_what_stays_unsent_until_it_is_useless_is_given_up(rig: Rig) -> None:
    await rig.hear(contact(), accepted(1), confirmed())
    rig.sender.outcome = Unsent("20429")
    await rig.walk(starts_at(1))

    assert (await rig.became())[K.DAY_OF] == (TextState.SUPPRESSED, "too_late")
    assert await rig.attention() == []


async def test_a_refusal_is_final_and_told_with_its_code(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = Refused("21211")
    await rig.walk(MONDAY + HOUR)

    assert len(rig.sender.texts) == 1
    (failed,) = [data for type, data in await rig.told() if type == "reminders.text.failed.v1"]
    assert failed["code"] == "21211"


async def test_a_number_that_the_carrier_blocks_is_an_opt_out(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = Refused("21610")
    await rig.walk(starts_at(1))

    assert len(rig.sender.texts) == 1
    changed = [data for type, data in await rig.told() if type == "reminders.consent.changed.v1"]
    assert [(data["allowed"], data["source"]) for data in changed] == [(True, "intake"), (False, "carrier")]
    assert (await rig.became())[K.DAY_OF] == (TextState.SUPPRESSED, "opted_out")


@pytest.mark.parametrize("defect", [False, True])
async def test_an_unknown_outcome_is_never_sent_again_and_goes_to_a_person(rig: Rig, defect: bool) -> None:
    async def fail() -> None:
        raise KeyError("a defect of the sender")

    await rig.planned()
    rig.sender.outcome = Unknown("TimeoutError")
    rig.sender.before = fail if defect else None
    await rig.walk(MONDAY + DAY)

    assert len(rig.sender.texts) == 1
    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)
    assert await rig.attention() == ["text_outcome_unknown"]


async def test_a_text_whose_process_died_while_sending_goes_to_a_person(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(MONDAY + 5 * MINUTE)
    async with rig.database.begin() as connection:
        await rig.dispatch._claim(connection, rig.clock.now())
    assert await rig.next_due() == MONDAY + 10 * MINUTE  # the lease

    await rig.walk(MONDAY + HOUR)

    assert rig.sender.texts == []
    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)
    assert await rig.attention() == ["text_outcome_unknown"]


async def test_a_call_that_hangs_holds_back_no_other_text(rig: Rig) -> None:
    """The answer of one call may take half a minute."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hang_once() -> None:
        if not begun.is_set():
            begun.set()
            await go_on.wait()

    rig.sender.before = hang_once
    await rig.planned()
    running = asyncio.create_task(rig.dispatch.run())
    async with asyncio.timeout(20):
        await begun.wait()
        await rig.hear(required(1))
        rig.dispatch._alarm.ring()
        while (await rig.became())[K.PAYMENT_DUE][0] is not TextState.SENT:  # noqa: ASYNC110 - nothing rings then
            await asyncio.sleep(0.01)
    assert (await rig.became())[K.BOOKED] == (TextState.SENDING, None)
    running.cancel()
    go_on.set()
    await asyncio.wait([running])
    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_two_replicas_never_send_the_same_text(rig: Rig) -> None:
    await rig.hear(contact())
    for n in range(40):
        id = UUID(int=1000 + n)
        course = accepted(1).model_copy(
            update={
                "course_id": id,
                "sessions": (accepted(1).sessions[0].model_copy(update={"session_id": UUID(int=n + 1)}),),
            }
        )
        event = confirmed().model_copy(update={"course_id": id, "session_id": UUID(int=n + 1)})
        await rig.hear(course, event)
    other = ScriptedSender()
    replica = rig.dispatcher(other)
    rig.clock.move(MONDAY + 5 * MINUTE)

    for _ in range(4):
        await asyncio.gather(rig.dispatch.send_due(rig.clock.now()), replica.send_due(rig.clock.now()))

    sent = [text.text_id for text in (*rig.sender.texts, *other.texts)]
    assert len(sent) == len(set(sent)) == 40


async def test_a_cancellation_that_comes_while_a_text_is_being_sent_finds_it_sent(rig: Rig) -> None:
    await rig.planned()
    rig.sender.before = lambda: rig.hear(cancelled())
    rig.clock.move(MONDAY + 5 * MINUTE)
    await rig.dispatch.send_due(rig.clock.now())

    became = await rig.became()
    assert became[K.BOOKED] == (TextState.SENT, None)
    assert became[K.DAY_OF] == (TextState.SUPPRESSED, "superseded")


async def test_unsent_and_cancelled_meanwhile_it_is_not_tried_again(rig: Rig) -> None:
    await rig.planned()
    rig.sender.before = lambda: rig.hear(cancelled())
    rig.sender.outcome = Unsent("20429")
    await rig.walk(MONDAY + HOUR)

    assert [text.kind for text in rig.sender.texts].count(K.BOOKED) == 1
    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "superseded")


async def test_a_contact_that_is_just_being_changed_leaves_its_texts_for_later(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(MONDAY + 5 * MINUTE)
    async with rig.database.begin() as connection:
        await load_contacts(connection, [PATIENT], "FOR UPDATE OF contacts")
        assert await rig.dispatch.send_due(rig.clock.now()) == 0
    await rig.dispatch.send_due(rig.clock.now())
    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_a_stop_of_the_service_carries_a_begun_sending_through(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(MONDAY + 5 * MINUTE)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    rig.sender.before = wait
    sending = asyncio.create_task(rig.dispatch.send_due(rig.clock.now()))
    await begun.wait()
    assert await rig.next_due() == rig.clock.now()
    sending.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_the_texts_of_a_course_that_is_held_back_wait(rig: Rig) -> None:
    await rig.planned()
    async with rig.database.begin() as connection:
        await run(
            connection,
            """INSERT INTO dead_letters (message_id, kind, aggregate, error_type, error, topic, partition, kafka_offset,
                                         timestamp_ms, headers, arrived_at)
               VALUES ('x', 'defect', :of, 'E', 'e', 't', 0, 0, 0, '', :now)""",
            of=f"course:{COURSE_ID}",
            now=rig.clock.now(),
        )
    await rig.walk(MONDAY + HOUR)

    assert rig.sender.texts == []
    assert await rig.next_due() is None
