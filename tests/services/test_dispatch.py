"""Due texts on a real PostgreSQL: judged, written down, sent once, recorded, told."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from asyncpg import PostgresError

from deploy.preparing.databases import provision
from services.reminders.sending.sender import ConsoleSender
from services.reminders.store import queue
from services.reminders.store.contacts import load_contacts
from services.reminders.store.texts import texts_on_record
from services.reminders.text.provider import OutgoingText
from services.reminders.text.text import TextState
from shared.contract.booking import SessionCompleted
from shared.contract.closed_sets import SessionState
from shared.contract.internal import PersonErased
from shared.postgres.query import rows, run
from tests.reminders_rig import K, Rig, cancelled, confirmed, open_rig
from tests.reminders_story import (
    DAY,
    HOUR,
    MONDAY,
    PATIENT,
    PHONE,
    accepted,
    contact,
    required,
    satisfied,
    session_event,
    starts_at,
)


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_dispatch")["reminders"]


@pytest.fixture
async def rig(reminders_url: str) -> AsyncIterator[Rig]:
    async with open_rig(reminders_url) as rig:
        yield rig


async def test_a_course_gets_each_text_of_its_ladder_once_and_at_its_time(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(starts_at(1) + HOUR)
    await rig.hear(
        session_event(
            SessionCompleted, 1, SessionState.COMPLETED, 4, started_at=starts_at(1), ended_at=starts_at(1) + HOUR
        )
    )
    start = starts_at(1)
    await rig.walk(start + 40 * DAY)

    assert [(text.kind, text.at) for text in rig.sender.texts] == [
        (K.BOOKED, MONDAY),
        (K.PREPARATION, start - 72 * HOUR),
        (K.DAY_BEFORE, start - 24 * HOUR),
        (K.DAY_OF, start - 2 * HOUR),
        (K.AFTER_CARE, start + 3 * HOUR),
        (K.NEXT_DAY, start + 22 * HOUR),  # 8:00: the night is over
        (K.EVALUATION, start + 2 * DAY + HOUR),
        (K.BOOSTER_DUE, start + 28 * DAY + HOUR),
    ]
    assert {text.to for text in rig.sender.texts} == {PHONE}
    sent = [data for type, data in await rig.told() if type == "reminders.text.sent.v1"]
    assert [data["kind"] for data in sent] == [text.kind for text in rig.sender.texts]
    assert {state for state, _ in (await rig.became()).values()} == {TextState.SENT}


async def test_every_text_names_the_consent_that_allowed_it(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(MONDAY + HOUR)

    async with rig.database.begin() as connection:
        (row,) = await rows(
            connection, "SELECT wording, body FROM texts JOIN consents USING (consent_id) WHERE texts.kind = 'booked'"
        )
    assert row.wording == "form-1"
    assert row.body == rig.sender.texts[0].body


async def test_a_move_heard_before_the_text_is_due_means_it_never_goes_out(rig: Rig) -> None:
    await rig.planned()
    await rig.hear(cancelled())
    await rig.walk(starts_at(1))

    assert [text.kind for text in rig.sender.texts] == [K.CANCELLED]
    became = await rig.became()
    assert {reason for kind, (_, reason) in became.items() if kind is not K.CANCELLED} == {"superseded"}
    assert [type for type, _ in await rig.told()].count("reminders.text.suppressed.v1") == 4


async def test_without_consent_each_text_is_suppressed_when_it_is_due(rig: Rig) -> None:
    await rig.hear(contact(allowed=False), accepted(1), confirmed())
    await rig.walk(MONDAY + HOUR)

    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "no_consent")
    assert (await rig.became())[K.DAY_OF] == (TextState.SCHEDULED, None)


async def test_consent_that_comes_in_time_counts(rig: Rig) -> None:
    await rig.hear(accepted(1), confirmed())
    await rig.hear(contact())
    await rig.walk(MONDAY + HOUR)

    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_an_erased_person_has_no_number_left_and_gets_nothing(rig: Rig) -> None:
    await rig.planned()
    await rig.erase()
    await rig.walk(MONDAY + HOUR)

    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "no_number")
    async with rig.database.begin() as connection:
        (row,) = await rows(connection, "SELECT phone, (SELECT count(*) FROM consents) AS proofs FROM contacts")
    assert (row.phone, row.proofs) == (None, 1)
    assert PersonErased.type not in {type for type, _ in await rig.told()}


async def test_a_change_of_zone_plans_waiting_texts_anew(rig: Rig) -> None:
    early = starts_at(1) - HOUR
    await rig.hear(contact(), accepted(1), confirmed(2, early))
    await rig.hear(contact(time_zone="Pacific/Honolulu", region="US-HI"))
    await rig.walk(MONDAY + HOUR)

    (text,) = [t for t in (await rig.course()).texts if t.kind is K.DAY_OF]
    assert text.due_at.hour == 6  # 20:15 of the evening before in Honolulu
    assert text.due_at < text.nominal_at


async def test_one_payment_text_goes_out_for_all_demands_of_a_day(rig: Rig) -> None:
    await rig.hear(contact(), accepted(1, 2), required(1), required(2))
    await rig.walk(MONDAY + HOUR)
    await rig.hear(satisfied(1), satisfied(2))
    await rig.walk(MONDAY + DAY)

    assert [text.kind for text in rig.sender.texts] == [K.PAYMENT_DUE]


async def test_two_demands_around_midnight_bring_one_text_in_the_morning(rig: Rig) -> None:
    await rig.hear(contact(), accepted(1, 2))
    rig.clock.move(MONDAY + 13 * HOUR)
    await rig.hear(required(1))
    rig.clock.move(MONDAY + 15 * HOUR)
    await rig.hear(required(2))
    await rig.walk(MONDAY + 2 * DAY)

    assert [text.kind for text in rig.sender.texts] == [K.PAYMENT_DUE]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET allowed = false",
        "DELETE FROM consents",
        "UPDATE texts SET state = 'sent'",
        "UPDATE texts SET state = 'sending'",
        "UPDATE texts SET state = 'suppressed'",
        "UPDATE courses SET location = NULL",
        "DROP TABLE texts",
    ],
)
async def test_the_database_refuses_what_must_not_be(rig: Rig, statement: str) -> None:
    await rig.planned()
    with pytest.raises(PostgresError):
        async with rig.database.begin() as connection:
            await run(connection, statement)


async def test_a_course_survives_being_stored(rig: Rig) -> None:
    await rig.hear(required(1))
    assert len((await rig.course()).waiting) == 1
    await rig.hear(accepted(1), confirmed())
    course = await rig.course()

    assert course.waiting == ()
    assert {text.kind for text in course.texts} == {K.BOOKED, K.PAYMENT_DUE, K.PREPARATION, K.DAY_BEFORE, K.DAY_OF}
    async with rig.database.begin() as connection:
        assert (await load_contacts(connection, [PATIENT])) == {}
        assert await queue.next_look(connection, ["nowhere"]) is None


async def test_console_texts_are_on_record(rig: Rig) -> None:
    shown: list[OutgoingText] = []
    rig.dispatch = rig.dispatcher(ConsoleSender(shown.append))
    await rig.planned()
    await rig.walk(MONDAY + HOUR)

    assert [replace(text, body="") for text in shown] == [replace(text, body="") for text in shown if text.to == PHONE]
    ids = [text.text_id for text in (await rig.course()).texts]
    async with rig.database.begin() as connection:
        record = await texts_on_record(connection, ids)
    assert [sent.body for sent in record.values() if sent.body] == [shown[0].body]


async def test_texts_planned_in_the_batch_in_which_a_contact_moves_are_looked_at_again(rig: Rig) -> None:
    await rig.hear(contact())
    await rig.hear(accepted(1), confirmed(), contact(time_zone="Pacific/Honolulu", region="US-HI"))
    async with rig.database.begin() as connection:
        found = await rows(connection, "SELECT kind, look_at FROM texts WHERE state = 'scheduled'")
    assert found
    assert {row.look_at for row in found} == {MONDAY}
