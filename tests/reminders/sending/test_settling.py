"""What becomes of attempts: by the call's outcome, by reports, by a look through the provider's list."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from services.reminders.rules.outcome import Report
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.store.contacts import load_contacts
from services.reminders.text.provider import Found, ProviderRefused, Unknown
from services.reminders.text.text import TextState
from shared.contract.closed_sets import TextKind
from tests.facts.billing import prepayment_required
from tests.facts.clinic import contact_updated
from tests.facts.course import DAY, HOUR, MINUTE, NOW, PATIENT, PHONE, start
from tests.facts.reminders import answer_wanted
from tests.stand_ins.reminders_rig import Rig
from tests.stand_ins.reminders_story import K


def refusals() -> float:
    """How many the alerts know of."""
    return REGISTRY.get_sample_value("chairtime_texts_total", {"service": "reminders", "outcome": "refused"}) or 0


async def test_a_refusal_is_final_and_told_with_its_code(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = ProviderRefused("21211")
    counted = refusals()
    await rig.walk(NOW + HOUR)

    assert len(rig.sender.texts) == 1
    assert refusals() == counted + 1
    (failed,) = [data for type, data in await rig.told() if type == "reminders.text.failed.v1"]
    assert failed["code"] == "21211"


async def test_a_number_that_the_carrier_blocks_is_an_opt_out(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = ProviderRefused("21610")
    await rig.walk(start(1))

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
    await rig.walk(NOW + DAY)

    assert len(rig.sender.texts) == 1
    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)
    assert await rig.attention() == ["text_outcome_unknown"]


async def test_a_text_whose_process_died_while_sending_goes_to_a_person(rig: Rig) -> None:
    await rig.planned()
    rig.clock.move(NOW + 5 * MINUTE)
    async with rig.database.begin() as connection:
        await rig.dispatch._claim(connection, rig.clock.now())
    assert await rig.next_due() == NOW + 10 * MINUTE  # the lease

    await rig.walk(NOW + HOUR)

    assert rig.sender.texts == []
    assert (await rig.became())[K.BOOKED] == (TextState.UNKNOWN, None)
    assert await rig.attention() == ["text_outcome_unknown"]


SID = "SM" + "1" * 32


def writer(rig: Rig) -> OutcomeWriter:
    return OutcomeWriter(rig.database, rig.clock, lambda: None, traceable=True)


async def lost(rig: Rig) -> UUID:
    """The list of dates was handed over, and nobody knows whether it was taken; its attempt."""
    rig.sender.traceable = True
    rig.sender.outcome = Unknown("TimeoutError")
    rig.dispatch = rig.dispatcher(rig.sender)
    await rig.planned()
    rig.clock.move(NOW)
    await rig.send()
    rig.sender.outcome = None
    return rig.sender.texts[0].attempt_id


async def searched(rig: Rig, until_hours: float) -> None:
    """Walk on; each search of the provider's list is carried through."""
    await rig.walk(NOW + timedelta(hours=until_hours))


async def test_a_report_settles_an_attempt_of_unknown_outcome(rig: Rig) -> None:
    attempt_id = await lost(rig)

    assert await writer(rig).report(Report(attempt_id, SID, "sent"))
    assert await writer(rig).report(Report(attempt_id, SID, "delivered"))
    assert await writer(rig).report(Report(None, SID, "sent"))

    assert (await rig.became())[K.BOOKED] == (TextState.DELIVERED, None)
    told = [type for type, _ in await rig.told() if "reminders.text" in type]
    assert told == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]
    await searched(rig, 25)
    assert rig.sender.sought == []
    assert await rig.attention() == []


async def test_a_report_that_comes_before_the_call_has_ended_counts_once(rig: Rig) -> None:
    async def report() -> None:
        await writer(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "delivered"))

    rig.sender.before = report
    await rig.planned()
    await rig.walk(NOW)

    assert (await rig.became())[K.BOOKED] == (TextState.DELIVERED, None)
    told = [type for type, _ in await rig.told() if "reminders.text" in type]
    assert told == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]


async def test_twenty_reports_at_once_have_one_effect(rig: Rig) -> None:
    attempt_id = await lost(rig)
    statuses = ["queued", "sending", "sent", "delivered", "delivered"] * 4

    await asyncio.gather(*(writer(rig).report(Report(attempt_id, SID, status)) for status in statuses))

    assert [type for type, _ in await rig.told()].count("reminders.text.delivered.v1") == 1


async def test_a_report_about_nothing_of_ours_is_told_so(rig: Rig) -> None:
    await rig.planned()

    assert not await writer(rig).report(Report(uuid4(), SID, "sent"))


async def test_a_carrier_that_reports_an_opt_out_ends_all_texts(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(NOW)
    await writer(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "sent"))
    sid = f"SM{rig.sender.texts[0].attempt_id.hex}"
    await writer(rig).report(Report(None, sid, "failed", "21610"))
    await rig.walk(start(1))

    assert (await rig.became())[K.BOOKED] == (TextState.FAILED, None)
    assert (await rig.became())[K.DAY_OF] == (TextState.SUPPRESSED, "opted_out")


async def test_all_who_have_a_number_that_the_carrier_blocks_have_opted_out(rig: Rig) -> None:
    await rig.hear(contact_updated(contact_id="patient-2"))
    await rig.planned()
    rig.sender.outcome = Unknown("500")
    await rig.walk(NOW)
    await writer(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "undelivered", "21610"))

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
    assert [sought.attempted_at for sought in rig.sender.sought] == [NOW] * 4
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
    await rig.hear(prepayment_required(1))
    rig.clock.move(NOW + MINUTE)
    await rig.send()
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


async def test_an_answer_has_outcomes_like_every_text(rig: Rig) -> None:
    await rig.hear(contact_updated())
    rig.sender.outcome = Unknown("500")
    await rig.say(answer_wanted(TextKind.HELP))
    await rig.walk(NOW)
    await writer(rig).report(Report(rig.sender.texts[0].attempt_id, SID, "delivered"))

    assert [type for type, _ in await rig.told()][1:] == ["reminders.text.sent.v1", "reminders.text.delivered.v1"]
    assert await rig.attention() == ["text_outcome_unknown"]
