"""Due texts on a real PostgreSQL: judged, written down, sent once, recorded, told."""

from uuid import UUID

from services.reminders.text.provider import Unsent
from services.reminders.text.text import TextState
from shared.postgres.query import rows
from tests.facts.billing import prepayment_required, prepayment_satisfied
from tests.facts.booking import course_accepted, session_cancelled, session_completed, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import COMPANION, DAY, HOUR, MINUTE, NOW, PATIENT, PHONE, start
from tests.facts.reminders import consent_recorded
from tests.stand_ins.reminders_rig import Rig, ScriptedSender
from tests.stand_ins.reminders_story import K


async def test_a_course_gets_each_text_of_its_ladder_once_and_at_its_time(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(start(1) + HOUR)
    await rig.hear(session_completed(1, started_at=start(1), ended_at=start(1) + HOUR))
    begins = start(1)
    await rig.walk(begins + 40 * DAY)

    assert [(text.kind, text.at) for text in rig.sender.texts] == [
        (K.BOOKED, NOW),
        (K.PREPARATION, begins - 72 * HOUR),
        (K.DAY_BEFORE, begins - 24 * HOUR),
        (K.DAY_OF, begins - 2 * HOUR),
        (K.AFTER_CARE, begins + 3 * HOUR),
        (K.NEXT_DAY, begins + 22 * HOUR),  # 8:00: the night is over
        (K.EVALUATION, begins + 2 * DAY + HOUR),
        (K.BOOSTER_DUE, begins + 28 * DAY + HOUR),
    ]
    assert {text.to for text in rig.sender.texts} == {PHONE}
    sent = [data for type, data in await rig.told() if type == "reminders.text.sent.v1"]
    assert [data["kind"] for data in sent] == [text.kind for text in rig.sender.texts]
    assert {state for state, _ in (await rig.became()).values()} == {TextState.SENT}


async def test_every_text_names_the_consent_that_allowed_it(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(NOW + HOUR)

    async with rig.database.begin() as connection:
        (row,) = await rows(
            connection, "SELECT wording, body FROM texts JOIN consents USING (consent_id) WHERE texts.kind = 'booked'"
        )
    assert row.wording == "form-1"
    assert row.body == rig.sender.texts[0].body


async def test_a_move_heard_before_the_text_is_due_means_it_never_goes_out(rig: Rig) -> None:
    await rig.planned()
    await rig.hear(session_cancelled())
    await rig.walk(start(1))

    assert [text.kind for text in rig.sender.texts] == [K.CANCELLED]
    became = await rig.became()
    assert {reason for kind, (_, reason) in became.items() if kind is not K.CANCELLED} == {"superseded"}
    assert [type for type, _ in await rig.told()].count("reminders.text.suppressed.v1") == 4


async def test_without_consent_each_text_is_suppressed_when_it_is_due(rig: Rig) -> None:
    await rig.hear(contact_updated(allowed=False), course_accepted(1), session_confirmed())
    await rig.walk(NOW + HOUR)

    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "no_consent")
    assert (await rig.became())[K.DAY_OF] == (TextState.SCHEDULED, None)


async def test_consent_that_comes_in_time_counts(rig: Rig) -> None:
    await rig.hear(course_accepted(1), session_confirmed())
    await rig.hear(contact_updated())
    await rig.walk(NOW + HOUR)

    assert [text.kind for text in rig.sender.texts] == [K.BOOKED]


async def test_one_payment_text_goes_out_for_all_demands_of_a_day(rig: Rig) -> None:
    await rig.hear(contact_updated(), course_accepted(2), prepayment_required(1), prepayment_required(2))
    await rig.walk(NOW + HOUR)
    await rig.hear(prepayment_satisfied(1), prepayment_satisfied(2))
    await rig.walk(NOW + DAY)

    assert [text.kind for text in rig.sender.texts] == [K.PAYMENT_DUE]


async def test_two_demands_around_midnight_bring_one_text_in_the_morning(rig: Rig) -> None:
    await rig.hear(contact_updated(), course_accepted(2))
    rig.clock.move(NOW + 14 * HOUR)
    await rig.hear(prepayment_required(1))
    rig.clock.move(NOW + 16 * HOUR)
    await rig.hear(prepayment_required(2))
    await rig.walk(NOW + 2 * DAY)

    assert [text.kind for text in rig.sender.texts] == [K.PAYMENT_DUE]


async def test_what_was_proven_unsent_is_tried_again_with_back_off(rig: Rig) -> None:
    await rig.planned()
    rig.sender.outcome = Unsent("20429")
    await rig.walk(NOW + 6 * MINUTE)
    tries = [text.at - NOW for text in rig.sender.texts]
    rig.sender.outcome = None
    await rig.walk(NOW + HOUR)

    assert tries[:3] == [0 * MINUTE, 0.5 * MINUTE, 1.5 * MINUTE]
    assert [text.at - NOW for text in rig.sender.texts] == [*tries, 7.5 * MINUTE]
    assert len({text.attempt_id for text in rig.sender.texts}) == 5
    assert (await rig.became())[K.BOOKED] == (TextState.SENT, None)


async def test_what_stays_unsent_until_it_is_useless_is_given_up(rig: Rig) -> None:
    await rig.hear(contact_updated(), course_accepted(1), session_confirmed())
    rig.sender.outcome = Unsent("20429")
    await rig.walk(start(1))

    assert (await rig.became())[K.DAY_OF] == (TextState.SUPPRESSED, "too_late")
    assert await rig.attention() == []


async def test_two_replicas_never_send_the_same_text(rig: Rig) -> None:
    await rig.hear(contact_updated())
    for n in range(40):
        id = UUID(int=1000 + n)
        course = course_accepted(1).model_copy(
            update={
                "course_id": id,
                "sessions": (course_accepted(1).sessions[0].model_copy(update={"session_id": UUID(int=n + 1)}),),
            }
        )
        event = session_confirmed().model_copy(update={"course_id": id, "session_id": UUID(int=n + 1)})
        await rig.hear(course, event)
    other = ScriptedSender()
    replica = rig.dispatcher(other)
    rig.clock.move(NOW + 5 * MINUTE)

    await rig.send(replica)

    sent = [text.text_id for text in (*rig.sender.texts, *other.texts)]
    assert len(sent) == len(set(sent)) == 40


async def test_a_cancellation_that_comes_while_a_text_is_being_sent_finds_it_sent(rig: Rig) -> None:
    await rig.planned()
    rig.sender.before = lambda: rig.hear(session_cancelled())
    rig.clock.move(NOW + 5 * MINUTE)
    await rig.send()

    became = await rig.became()
    assert became[K.BOOKED] == (TextState.SENT, None)
    assert became[K.DAY_OF] == (TextState.SUPPRESSED, "superseded")


async def test_unsent_and_cancelled_meanwhile_it_is_not_tried_again(rig: Rig) -> None:
    await rig.planned()
    rig.sender.before = lambda: rig.hear(session_cancelled())
    rig.sender.outcome = Unsent("20429")
    await rig.walk(NOW + HOUR)

    assert [text.kind for text in rig.sender.texts].count(K.BOOKED) == 1
    assert (await rig.became())[K.BOOKED] == (TextState.SUPPRESSED, "superseded")


async def test_stop_is_confirmed_at_once_even_at_night_and_ends_everything_else(rig: Rig) -> None:
    await rig.planned()
    await rig.walk(NOW + 14 * HOUR)
    await rig.say(consent_recorded(False, NOW + 14 * HOUR))
    await rig.say(consent_recorded(False, NOW + 14 * HOUR + MINUTE))
    await rig.walk(start(1))

    assert [(text.kind, text.at - NOW) for text in rig.sender.texts] == [
        (K.BOOKED, 0 * HOUR),
        (K.OPT_OUT_CONFIRMED, 14 * HOUR),
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


async def test_a_companion_is_texted_by_their_own_consent_and_hours(rig: Rig) -> None:
    both = (COMPANION,)
    companion = contact_updated(
        contact_id=COMPANION, phone="+18085550102", time_zone="Pacific/Honolulu", region="US-HI"
    )
    await rig.hear(contact_updated(allowed=False), companion, course_accepted(1, companions=both))
    await rig.hear(session_confirmed().model_copy(update={"companions": both}))
    await rig.walk(NOW + 4 * HOUR)

    assert [(text.kind, text.to, text.at) for text in rig.sender.texts] == [
        (K.COMPANION_NOTICE, "+18085550102", NOW + 3 * HOUR)
    ]
    await rig.hear(session_cancelled().model_copy(update={"companions": both}))
    await rig.walk(NOW + 5 * HOUR)
    assert [text.kind for text in rig.sender.texts] == [K.COMPANION_NOTICE, K.CANCELLED]
