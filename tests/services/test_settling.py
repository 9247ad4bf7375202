"""What becomes of attempts afterwards, and how fast they go: reports, searches, rates, answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from asyncpg import PostgresError

from deploy.preparing.databases import provision
from services.reminders.people.messages import AnswerWanted, ConsentRecorded
from services.reminders.rules.outcome import Report
from services.reminders.sending.settling import Settling
from services.reminders.store import queue
from services.reminders.store.contacts import allowed_then, load_contacts
from services.reminders.text.provider import Found, Unknown
from services.reminders.text.text import TextState
from shared.contract.closed_sets import TextKind
from shared.contract.register import EventData
from shared.decision.message import Message
from shared.postgres.query import rows, run
from tests.reminders_rig import MINUTE, K, Rig, ScriptedSender, cancelled, confirmed, open_rig
from tests.reminders_story import (
    COMPANION,
    COURSE_ID,
    DAY,
    HOUR,
    MONDAY,
    PATIENT,
    PHONE,
    accepted,
    contact,
    required,
    starts_at,
)

SID = "SM" + "1" * 32


@pytest.fixture(scope="module")
def reminders_url(postgres: str) -> str:
    return provision(postgres, suffix="_settling")["reminders"]


@pytest.fixture
async def rig(reminders_url: str) -> AsyncIterator[Rig]:
    async with open_rig(reminders_url) as rig:
        yield rig


def settling(rig: Rig) -> Settling:
    return Settling(rig.database, rig.clock, lambda: None, traceable=True)


async def say(rig: Rig, data: EventData) -> None:
    """By HTTP, or because the person wrote."""
    now = rig.clock.now()
    await rig.worker.submit(Message(str(uuid4()), data.type, "http", now, now, data))


async def lost(rig: Rig) -> UUID:
    """The list of dates was handed over, and nobody knows whether it was taken; its attempt."""
    rig.sender.traceable = True
    rig.sender.outcome = Unknown("TimeoutError")
    rig.dispatch = rig.dispatcher(rig.sender)
    await rig.planned()
    rig.clock.move(MONDAY)
    await rig.dispatch.send_due(MONDAY)
    rig.sender.outcome = None
    return rig.sender.texts[0].attempt_id


async def searched(rig: Rig, until_hours: float) -> None:
    """Walk on; each search of the provider's list is carried through."""
    to = MONDAY + timedelta(hours=until_hours)
    while (due_at := await rig.next_due()) is not None and due_at <= to:
        rig.clock.move(max(due_at, rig.clock.now()))
        await settling(rig).search(rig.sender, {"stella": "stella"}, rig.clock.now())
        await rig.dispatch.send_due(rig.clock.now())
    rig.clock.move(to)


async def test_a_report_settles_an_attempt_of_unknown_outcome(rig: Rig) -> None:
    attempt_id = await lost(rig)

    assert await settling(rig).report(Report(attempt_id, SID, "sent"))
    assert await settling(rig).report(Report(attempt_id, SID, "delivered"))
    assert await settling(rig).report(Report(None, SID, "sent"))

    assert (await rig.became())[K.BOOKED] == (TextState.DELIVERED, None)
    told = [type for type, _ in await rig.told() if "reminders.text" in type]
    assert told == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]
    await searched(rig, 25)
    assert rig.sender.sought == []
    assert await rig.attention() == []


async def test_a_report_that_comes_before_the_call_has_ended_counts_once(rig: Rig) -> None:
    async def report() -> None:
        await settling(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "delivered"))

    rig.sender.before = report
    await rig.planned()
    await rig.walk(MONDAY)

    assert (await rig.became())[K.BOOKED] == (TextState.DELIVERED, None)
    told = [type for type, _ in await rig.told() if "reminders.text" in type]
    assert told == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]


async def test_twenty_reports_at_once_have_one_effect(rig: Rig) -> None:
    attempt_id = await lost(rig)
    statuses = ["queued", "sending", "sent", "delivered", "delivered"] * 4

    await asyncio.gather(*(settling(rig).report(Report(attempt_id, SID, status)) for status in statuses))

    assert [type for type, _ in await rig.told()].count("reminders.text.delivered.v1") == 1


async def test_a_report_about_nothing_of_ours_is_told_so(rig: Rig) -> None:
    await rig.planned()

    assert not await settling(rig).report(Report(uuid4(), SID, "sent"))


async def test_a_carrier_that_reports_an_opt_out_ends_all_texts(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(MONDAY)
    await settling(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "sent"))
    sid = f"SM{rig.sender.texts[0].attempt_id.hex}"
    await settling(rig).report(Report(None, sid, "failed", "21610"))
    await rig.walk(starts_at(1))

    assert (await rig.became())[K.BOOKED] == (TextState.FAILED, None)
    assert (await rig.became())[K.DAY_OF] == (TextState.SUPPRESSED, "opted_out")


async def test_all_who_have_a_number_that_the_carrier_blocks_have_opted_out(rig: Rig) -> None:
    await rig.hear(contact(contact_id="patient-2"))
    await rig.planned()
    rig.sender.outcome = Unknown("500")
    await rig.walk(MONDAY)
    await settling(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "undelivered", "21610"))

    async with rig.database.begin() as connection:
        people = await load_contacts(connection, [PATIENT, "patient-2"])
    assert {id: person.opted_out for id, person in people.items()} == {PATIENT: True, "patient-2": True}


async def test_one_message_in_the_list_settles_it(rig: Rig) -> None:
    await lost(rig)
    await searched(rig, 0.5)
    rig.sender.listed = [Found(SID, "delivered", None)]
    await searched(rig, 2)

    assert len(rig.sender.texts) == 1
    assert (await rig.became())[K.BOOKED] == (TextState.DELIVERED, None)
    assert {sought.to for sought in rig.sender.sought} == {PHONE}
    assert [sought.attempted_at for sought in rig.sender.sought] == [MONDAY] * 4
    await searched(rig, 30)
    assert await rig.attention() == []


@pytest.mark.parametrize("listed", [[], [Found(SID, "sent", None), Found("SM2", "sent", None)]])
async def test_without_one_clear_match_it_goes_to_a_person_after_a_day(rig: Rig, listed: list[Found]) -> None:
    await lost(rig)
    rig.sender.listed = listed
    await searched(rig, 23.9)
    assert await rig.attention() == []
    await searched(rig, 24)

    assert await rig.attention() == ["text_outcome_unknown"]
    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)
    assert len(rig.sender.texts) == 1
    assert len(rig.sender.sought) == 8


async def test_a_message_that_is_another_text_proves_nothing(rig: Rig) -> None:
    await lost(rig)
    await rig.hear(required(1))
    rig.clock.move(MONDAY + MINUTE)
    await rig.dispatch.send_due(rig.clock.now())
    other = f"SM{rig.sender.texts[1].attempt_id.hex}"
    rig.sender.listed = [Found(other, "sent", None)]
    await searched(rig, 1)

    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)


async def test_a_text_whose_process_died_is_looked_for_when_its_lease_has_run_out(rig: Rig) -> None:
    rig.sender.traceable = True
    rig.dispatch = rig.dispatcher(rig.sender)
    await rig.planned()
    async with rig.database.begin() as connection:
        await rig.dispatch._claim(connection, rig.clock.now())
    rig.sender.listed = [Found(SID, "sent", None)]
    await searched(rig, 1)

    assert rig.sender.texts == []
    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_a_number_sends_no_faster_than_its_rate_and_what_is_for_today_first(rig: Rig) -> None:
    sender = ScriptedSender()
    replicas = [rig.dispatcher(sender, {"stella": 10}), rig.dispatcher(sender, {"stella": 10})]
    people = [contact(contact_id=f"p-{n}", phone=f"+1312555{n:04}") for n in range(30)]
    await rig.hear(*people)
    for n, person in enumerate(people):
        id, session = UUID(int=2000 + n), UUID(int=n + 1)
        course = accepted(1).model_copy(
            update={
                "course_id": id,
                "patient_id": person.contact_id,
                "sessions": (accepted(1).sessions[0].model_copy(update={"session_id": session}),),
            }
        )
        told = {"course_id": id, "session_id": session, "patient_id": person.contact_id}
        await rig.hear(course, confirmed().model_copy(update=told))
    begun = asyncio.get_running_loop().time()
    rig.clock.move(starts_at(1) - 2 * HOUR)  # all that came before is too late, or due
    while sum(text.kind is K.DAY_OF for text in sender.texts) < 30:
        await asyncio.gather(*(replica.send_due(rig.clock.now()) for replica in replicas))
        await asyncio.sleep(0.01)
    took = asyncio.get_running_loop().time() - begun

    segments = sum(text.segments for text in sender.texts)
    assert segments <= 10 * (took + 1)
    assert len({text.text_id for text in sender.texts}) == len(sender.texts)
    assert {text.kind for text in sender.texts[:30]} == {K.DAY_OF}


def stop(now: int = 0) -> ConsentRecorded:
    return ConsentRecorded(
        contact_id=PATIENT,
        allowed=False,
        wording="STOP",
        source="text",
        recorded_at=MONDAY + 13 * HOUR + now * MINUTE,
        phone=PHONE,
        answer_for="stella",
    )


async def test_stop_is_confirmed_at_once_even_at_night_and_ends_everything_else(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(MONDAY + 13 * HOUR)
    await say(rig, stop())
    await say(rig, stop(1))
    await rig.walk(starts_at(1))

    assert [(text.kind, text.at - MONDAY) for text in rig.sender.texts] == [
        (K.BOOKED, 0 * HOUR),
        (K.OPT_OUT_CONFIRMED, 13 * HOUR),
    ]
    assert {reason for _, reason in (await rig.became()).values()} == {None, "opted_out"}
    sent = [data for type, data in await rig.told() if type == "reminders.text.sent.v1"]
    assert "course_id" not in sent[1]
    assert sent[1]["contact_id"] == PATIENT
    async with rig.database.begin() as connection:
        (row,) = await rows(
            connection,
            "SELECT wording FROM texts JOIN consents USING (consent_id) WHERE texts.kind = 'opt_out_confirmed'",
        )
    assert row.wording == "STOP"


async def test_an_answer_has_outcomes_like_every_text(rig: Rig) -> None:
    await rig.hear(contact())
    rig.sender.outcome = Unknown("500")
    await say(rig, AnswerWanted(contact_id=PATIENT, kind=TextKind.HELP, location="stella"))
    await rig.walk(MONDAY)
    await settling(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "delivered"))

    assert [type for type, _ in await rig.told()][1:] == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]
    assert await rig.attention() == ["text_outcome_unknown"]


async def test_a_companion_is_texted_by_their_own_consent_and_hours(rig: Rig) -> None:
    both = (COMPANION,)
    companion = contact(contact_id=COMPANION, phone="+18085550102", time_zone="Pacific/Honolulu", region="US-HI")
    await rig.hear(contact(allowed=False), companion, accepted(1, companions=both))
    await rig.hear(confirmed().model_copy(update={"companions": both}))
    await rig.walk(MONDAY + 3 * HOUR)

    assert [(text.kind, text.to, text.at) for text in rig.sender.texts] == [
        (K.COMPANION_NOTICE, "+18085550102", MONDAY + 2 * HOUR)
    ]
    await rig.hear(cancelled().model_copy(update={"companions": both}))
    await rig.walk(MONDAY + 4 * HOUR)
    assert [text.kind for text in rig.sender.texts] == [K.COMPANION_NOTICE, K.CANCELLED]


async def test_who_comes_again_is_not_asked_to_come_again(rig: Rig) -> None:
    async with rig.database.begin() as connection:
        await run(
            connection,
            "INSERT INTO courses (course_id, patient_id, location) VALUES (:a, :p, 'stella'), (:b, :p, 'stella')",
            a=COURSE_ID,
            b=UUID(int=7),
            p=PATIENT,
        )
        for id, kind, occasion in ((COURSE_ID, "payment_due", MONDAY.date()), (UUID(int=7), "booster_due", None)):
            await run(
                connection,
                """INSERT INTO texts (text_id, course_id, contact_id, kind, state, nominal_at, due_at, look_at,
                                      deadline_at, occasion)
                   VALUES (gen_random_uuid(), :id, :p, :kind, 'scheduled', :at, :at, :at, :till, :on)""",
                id=id,
                p=PATIENT,
                kind=kind,
                at=MONDAY + DAY,
                till=MONDAY + 3 * DAY,
                on=occasion,
            )
        expected = await queue.expected_again(connection, [(UUID(int=7), PATIENT), (COURSE_ID, "patient-2")])
    assert expected == {PATIENT}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE numbers SET erased = true",
        "DELETE FROM numbers",
        "UPDATE texts SET state = 'delivered'",
        "UPDATE texts SET course_id = NULL",
        "UPDATE texts SET tells = '[[1, 2]]'",
        "UPDATE texts SET search_at = now()",
        "INSERT INTO pauses (scope, subject, paused_at, paused_by, reason) VALUES ('all', 'x', now(), 'y', 'z')",
    ],
)
async def test_the_database_refuses_what_must_not_be(rig: Rig, statement: str) -> None:
    await rig.planned()
    with pytest.raises(PostgresError):
        async with rig.database.begin() as connection:
            await run(connection, statement)


async def test_a_past_instant_can_be_rebuilt_and_an_erased_person_leaves_no_number(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(MONDAY + HOUR)
    await rig.hear(contact(phone="+13125550177"))
    await rig.walk(MONDAY + 2 * HOUR)
    await rig.erase()

    async with rig.database.begin() as connection:
        then = [await allowed_then(connection, PATIENT, MONDAY + hours * HOUR) is not None for hours in (-1, 0, 1, 2)]
        (dump,) = await rows(
            connection,
            """SELECT (SELECT json_agg(c) FROM contacts c)::text || (SELECT json_agg(c) FROM consents c)::text
                      || (SELECT json_agg(n) FROM numbers n)::text || (SELECT json_agg(t) FROM texts t)::text
                      || (SELECT json_agg(convert_from(o.value, 'UTF8')) FROM outbox o)::text AS everything""",
        )
    assert then == [False, True, False, False]
    assert "3125550" not in dump.everything


async def test_a_courses_texts_are_found_without_looking_through_all(rig: Rig) -> None:
    async with rig.database.begin() as connection:
        await run(connection, "SET LOCAL enable_seqscan = off")
        plan = await rows(connection, "EXPLAIN SELECT FROM texts WHERE course_id = :id", id=COURSE_ID)
    assert not any("Seq Scan" in line for (line,) in plan), plan
