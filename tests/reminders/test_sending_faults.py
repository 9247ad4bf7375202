"""Many texts, a provider that fails after accepting, two replicas, and what races a send: none twice, none too late.

CHAIRTIME_ROUNDS=full plays the numbers on which the promise stands.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import ClientTimeout

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio, Mood
from services.reminders.sending import dispatch
from services.reminders.sending.twilio import TwilioSender
from services.reminders.store import courses
from services.reminders.text.text import Text
from shared.contract.closed_sets import By, TextKind
from shared.contract.register import EventData
from shared.postgres.query import rows
from tests.facts.booking import session_cancelled, session_confirmed
from tests.facts.clinic import contact_updated
from tests.facts.course import HOUR
from tests.facts.reminders import consent_recorded
from tests.failures.rounds import amount
from tests.stand_ins.reminders_rig import Rig, ScriptedSender

SENDS = amount(60, 500)
MINUTES, WAITING = amount(1, 10), amount(60, 1000)
REPLICATED, DUE = amount(2, 20), amount(250, 1000)
RACES = amount(40, 500)

pytestmark = pytest.mark.timeout(amount(120, 1200))


def person(n: int) -> str:
    return f"person-{n}"


def phone(n: int) -> str:
    return f"+1312{5550000 + n:07}"


def of(n: int, event: EventData) -> EventData:
    """The story's event, told of the `n`th course, session and person."""
    update = {"course_id": UUID(int=10_000 + n), "patient_id": person(n), "session_id": UUID(int=n + 1)}
    return event.model_copy(update={name: value for name, value in update.items() if hasattr(event, name)})


def confirmed(n: int) -> EventData:
    return of(n, session_confirmed(1, grant=1))


def cancelled(n: int) -> EventData:
    return of(n, session_cancelled(1, by=By.PATIENT))


async def due(rig: Rig, first: int, count: int) -> None:
    """So many people to whom the list of dates is due now."""
    for start in range(first, first + count, 250):
        some = range(start, min(start + 250, first + count))
        await rig.hear(*(contact_updated(contact_id=person(n), phone=phone(n)) for n in some))
        await rig.hear(*(confirmed(n) for n in some))


@pytest.mark.parametrize("mood", [Mood.HANG, Mood.RESET, Mood.ERROR, Mood.CUT])
async def test_a_provider_that_fails_after_accepting_gets_no_text_twice(rig: Rig, mood: Mood) -> None:
    async with FakeTwilio() as twilio:
        limits = ClientTimeout(total=4, connect=2)
        sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, {"stella": "+15550100001"}, twilio.url, None, limits)
        rig.dispatch = rig.dispatcher(sender)
        await due(rig, 0, SENDS)
        twilio.mood = mood
        await rig.send()
        failed = len(twilio.taken)
        assert failed == SENDS if mood is not Mood.HANG else failed >= min(SENDS, 100), "no more connections at once"
        twilio.mood = Mood.ACCEPT
        for _ in range(5):
            rig.clock.move(rig.clock.now() + HOUR)
            await rig.send()
        await sender.close()

        assert Counter(form["To"] for form in twilio.taken) == Counter(phone(n) for n in range(SENDS))
    async with rig.database.begin() as connection:
        (row,) = await rows(
            connection, "SELECT count(*) AS count FROM texts WHERE state = 'unknown' AND search_at IS NOT NULL"
        )
    assert row.count == failed


@pytest.mark.parametrize("minute", range(MINUTES))
async def test_a_minute_in_which_the_provider_is_busy_delays_texts_and_doubles_none(rig: Rig, minute: int) -> None:
    people = range(minute * WAITING, (minute + 1) * WAITING)
    async with FakeTwilio() as twilio:
        sender = TwilioSender(ACCOUNT_SID, AUTH_TOKEN, {"stella": "+15550100001"}, twilio.url)
        rig.dispatch = rig.dispatcher(sender)
        await due(rig, people.start, WAITING)
        twilio.mood = Mood.BUSY
        end = rig.clock.now() + timedelta(minutes=1)
        while (at := await rig.next_due()) is not None and at <= end:
            rig.clock.move(max(at, rig.clock.now()))
            await rig.send()
        assert twilio.taken == []
        twilio.mood = Mood.ACCEPT
        await rig.walk(end + 5 * HOUR)
        await sender.close()

        assert Counter(form["To"] for form in twilio.taken) == Counter(map(phone, people))


async def test_two_replicas_send_nothing_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "BATCH", 100)  # or one would have taken all before the other looks
    other = ScriptedSender()
    replica = rig.dispatcher(other)
    for round in range(REPLICATED):
        await due(rig, round * DUE, DUE)
        await rig.send(replica)

    sent = Counter(text.text_id for text in (*rig.sender.texts, *other.texts))
    assert set(sent.values()) == {1}
    assert len(sent) == REPLICATED * DUE
    assert min(len(rig.sender.texts), len(other.texts)) > 0, "both took part"


async def suppressed(rig: Rig) -> Counter[str]:
    """How often each text was told as suppressed."""
    return Counter(data["text_id"] for type, data in await rig.told() if type == "reminders.text.suppressed.v1")


async def test_a_cancellation_that_races_a_send_comes_before_it_or_after_it(rig: Rig) -> None:
    """Whoever has the course first goes first: what is handed over was not called off before."""
    handed, called_off = 0, 0
    for n in range(RACES):
        await due(rig, n, 1)
        rig.sender.texts.clear()
        go = asyncio.Barrier(2)
        stagger = 0.004 * (n % 10 - 4) / 10

        async def cancel(n: int = n, go: asyncio.Barrier = go, wait: float = stagger) -> None:
            await go.wait()
            await asyncio.sleep(max(0.0, wait))
            await rig.hear(cancelled(n))

        async def send(go: asyncio.Barrier = go, wait: float = stagger) -> None:
            await go.wait()
            await asyncio.sleep(max(0.0, -wait))
            await rig.send()

        await asyncio.gather(cancel(), send())
        await rig.send()
        (booked,) = [t for t in await texts(rig, n) if t.kind is TextKind.BOOKED]
        sent = [text.text_id for text in rig.sender.texts if text.kind is TextKind.BOOKED]
        told = (await suppressed(rig))[str(booked.text_id)]
        assert (len(sent), told) in ((1, 0), (0, 1)), (booked.state, sent, told)
        handed += len(sent)
        called_off += told
    assert handed > 0
    assert called_off > 0


async def test_an_opt_out_that_races_a_send_comes_before_it_or_after_it(rig: Rig) -> None:
    ends: Counter[str] = Counter()
    clock = asyncio.get_running_loop().time
    for n in range(RACES):
        await due(rig, n, 1)
        rig.sender.texts.clear()
        go = asyncio.Barrier(2)
        stagger = 0.004 * (n % 10 - 4) / 10
        times: dict[str, float] = {}

        async def stop(
            n: int = n, go: asyncio.Barrier = go, wait: float = stagger, times: dict[str, float] = times
        ) -> None:
            await go.wait()
            await asyncio.sleep(max(0.0, wait))
            await say_stop(rig, n)
            times["counts"] = clock()

        async def send(go: asyncio.Barrier = go, wait: float = stagger, times: dict[str, float] = times) -> None:
            await go.wait()
            await asyncio.sleep(max(0.0, -wait))
            times["looked"] = clock()
            await rig.send()

        await asyncio.gather(stop(), send())
        await rig.send()
        (booked,) = [t for t in await texts(rig, n) if t.kind is TextKind.BOOKED]
        sent = [text for text in rig.sender.texts if text.kind is TextKind.BOOKED]
        assert (len(sent), booked.reason) in ((1, None), (0, "opted_out"))
        if times["counts"] < times["looked"]:
            assert sent == []
        ends["sent" if sent else "opted out"] += 1
    assert set(ends) == {"sent", "opted out"}


async def say_stop(rig: Rig, n: int) -> None:
    now = rig.clock.now()
    said = consent_recorded(False, now, phone=None, answer_for=None, contact_id=person(n))
    await rig.say(said)


async def texts(rig: Rig, n: int) -> list[Text]:
    async with rig.database.begin() as connection:
        course = (await courses.load_courses(connection, [UUID(int=10_000 + n)]))[UUID(int=10_000 + n)]
    return list(course.texts)
