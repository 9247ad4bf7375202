"""Contacts in the database: a change plans waiting texts anew; erased, they leave no number and keep the proof."""

from services.reminders.text.text import TextState
from shared.contract.internal import PersonErased
from shared.postgres.query import rows
from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR, NOW, PATIENT, start
from tests.stand_ins.reminders_ledger import allowed_then
from tests.stand_ins.reminders_rig import Rig
from tests.stand_ins.reminders_story import K


async def test_an_erased_person_has_no_number_left_and_gets_nothing(rig: Rig) -> None:
    await rig.planned()
    await rig.erase()
    await rig.walk(NOW + HOUR)

    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "no_number")
    async with rig.database.begin() as connection:
        (row,) = await rows(connection, "SELECT phone, (SELECT count(*) FROM consents) AS proofs FROM contacts")
    assert (row.phone, row.proofs) == (None, 1)
    assert PersonErased.type not in {type for type, _ in await rig.told()}


async def test_a_change_of_zone_plans_waiting_texts_anew(rig: Rig) -> None:
    early = start(1) - HOUR
    await rig.hear(contact_updated(), course_accepted(1), session_confirmed(starts_at=early))
    await rig.hear(contact_updated(time_zone="Pacific/Honolulu", region="US-HI"))
    await rig.walk(NOW + HOUR)

    (text,) = [t for t in (await rig.course()).texts if t.kind is K.DAY_OF]
    assert text.due_at.hour == 6  # 20:15 of the evening before in Honolulu
    assert text.due_at < text.nominal_at


async def test_texts_planned_in_the_batch_in_which_a_contact_moves_are_looked_at_again(rig: Rig) -> None:
    await rig.hear(contact_updated())
    await rig.hear(
        course_accepted(1), session_confirmed(), contact_updated(time_zone="Pacific/Honolulu", region="US-HI")
    )
    async with rig.database.begin() as connection:
        found = await rows(connection, "SELECT kind, look_at FROM texts WHERE state = 'scheduled'")
    assert found
    assert {row.look_at for row in found} == {NOW}


async def test_a_past_instant_can_be_rebuilt_and_an_erased_person_leaves_no_number(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(NOW + HOUR)
    await rig.hear(contact_updated(phone="+13125550177"))
    await rig.walk(NOW + 3 * HOUR)
    await rig.erase()

    async with rig.database.begin() as connection:
        then = [await allowed_then(connection, PATIENT, NOW + hours * HOUR) is not None for hours in (-1, 0, 1, 2)]
        (dump,) = await rows(
            connection,
            """SELECT (SELECT json_agg(c) FROM contacts c)::text || (SELECT json_agg(c) FROM consents c)::text
                      || (SELECT json_agg(n) FROM numbers n)::text || (SELECT json_agg(t) FROM texts t)::text
                      || (SELECT json_agg(convert_from(o.value, 'UTF8')) FROM outbox o)::text AS everything""",
        )
    assert then == [False, True, False, False]
    assert "3125550" not in dump.everything
