"""The checker bites: each test breaks one promise by hand in a copy of a blameless run, and sees it named."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import make_url

from shared.contract.clinic import (
    RequestedSession,
)
from shared.contract.register import EventData
from shared.decision.message import NAMESPACE
from tests.conftest import copies
from tests.facts.clinic import (
    contact_updated,
    course_requested,
    patient_checked_in,
    patient_updated,
    payment_captured,
    payment_reversed,
    session_cancel_requested,
    session_reschedule_requested,
    treatment_completed,
)
from tests.failures.checker import check
from tests.simulation.house import House, house
from tests.simulation.story import Act, Story

MONDAY = datetime(2027, 1, 4, 14, tzinfo=UTC)  # nine in the morning in Albany
PAID, UNPAID = UUID(int=1), UUID(int=2)
FIRST, SECOND, HELD = UUID(int=11), UUID(int=12), UUID(int=21)
NAME, PHONE = "Canary Quillfeather", "+12175550199"


def blameless() -> Story:
    """Two courses: one paid, moved, given once and cancelled once, its refund settled; one that is never paid."""

    def requested(course: UUID, patient: str, *sessions: tuple[UUID, datetime]) -> EventData:
        wishes = tuple(RequestedSession(session_id=id, starts_at=at) for id, at in sessions)
        return course_requested(course=course, patient_id=patient, location="albany", sessions=wishes)

    def contact(patient: str) -> EventData:
        texting = {"allowed": True, "wording": "w1", "source": "form", "recorded_at": MONDAY}
        return contact_updated(
            contact_id=patient,
            kind="patient",
            phone=PHONE,
            time_zone="America/New_York",
            region="US-NY",
            texting=texting,
        )

    hour, week = timedelta(hours=1), timedelta(days=7)
    start = MONDAY + week + hour
    money = payment_captured(90000, "pay-1", MONDAY + 3 * hour, course_id=PAID)
    back = payment_reversed(
        45000, str(uuid5(NAMESPACE, f"refund/{PAID}/1")), "pay-1", "rev-1", course_id=PAID, reversed_at=start
    )
    facts = [
        (MONDAY, contact("patient-1")),
        (MONDAY, contact("patient-2")),
        (MONDAY, patient_updated(patient_id="patient-1", name=NAME, born_on=date(1980, 1, 1), diagnoses=None)),
        (MONDAY + hour, requested(PAID, "patient-1", (FIRST, start), (SECOND, start + timedelta(days=3)))),
        (MONDAY + hour, requested(UNPAID, "patient-2", (HELD, start))),
        (MONDAY + 2 * hour, session_reschedule_requested(1, start + hour / 2, PAID, session_id=FIRST)),
        (MONDAY + 3 * hour, money),
        (MONDAY + week, session_cancel_requested(course=PAID, session_id=SECOND)),
        (start, back),
        (start + hour / 2, patient_checked_in(course=PAID, session_id=FIRST, at=start)),
        (
            start + 2 * hour,
            treatment_completed(course=PAID, session_id=FIRST, started_at=start, ended_at=start + hour),
        ),
    ]
    acts = [Act(at, data, f"fact-{number}") for number, (at, data) in enumerate(facts)]
    return Story(0, acts, start + timedelta(days=10), (NAME, PHONE))


@pytest.fixture(scope="module")
async def lived(postgres: str, template_databases: dict[str, str], kafka: str) -> AsyncIterator[House]:
    """A house that has seen the story and is closed."""
    async with copies(postgres, template_databases) as urls:
        async with house(urls, kafka, MONDAY - timedelta(hours=1)) as built:
            await built.play(blameless())
        yield built


@pytest.fixture(scope="module")
async def scene(postgres: str, lived: House) -> AsyncIterator[dict[str, str]]:
    """What the closed house has left behind; the house's own databases are only copied, never opened."""
    async with copies(postgres, lived.urls) as urls:
        yield urls


async def plant(postgres: str, url: str, sql: str) -> None:
    """Change what no role of a service could: as superuser, without triggers and foreign keys."""
    admin = make_url(postgres).set(database=make_url(url).database).render_as_string(hide_password=False)
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute(f"SET session_replication_role = replica; {sql}")
    finally:
        await connection.close()


async def violations(lived: House, scene: dict[str, str], logs: tuple[Path, ...] = ()) -> list[str]:
    """What the checker says at once."""
    return await check(
        scene, lived.kafka, canaries=(NAME, PHONE), logs=logs, sent=lived.sent, since=lived.since, patience=0
    )


def in_outbox(kind: str) -> str:
    """The rows of a type."""
    return f"position('{kind}' in convert_from(headers, 'UTF8')) > 0"


def retold(kind: str, before: str, after: str) -> str:
    """Other bytes in the first event of a type."""
    return f"""UPDATE outbox SET value = convert_to(
        regexp_replace(convert_from(value, 'UTF8'), '{before}', '{after}'), 'UTF8')
        WHERE id = (SELECT min(id) FROM outbox WHERE {in_outbox(kind)})"""


def told_again(kind: str) -> str:
    """The first event of a type once more, under another id."""
    return f"""INSERT INTO outbox (event_id, topic, key, value, headers, created_at, published_at)
        SELECT event_id || 'b', topic, key, value, headers, created_at, published_at FROM outbox
        WHERE id = (SELECT min(id) FROM outbox WHERE {in_outbox(kind)})"""


NEVER_TOLD = "DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE {})"

UNGUARDED = """ALTER TABLE sessions DROP CONSTRAINT one_patient_in_a_chair,
    DROP CONSTRAINT one_patient_for_a_provider, DROP CONSTRAINT one_place_for_a_patient;"""

AT_THE_SAME_TIME = f"""{UNGUARDED} UPDATE sessions SET state = 'held', chair = 'x', provider = session_id::text,
    starts_at = '2027-03-01T15:00Z', ends_at = '2027-03-01T16:00Z'
    WHERE session_id IN ('{FIRST}', '{HELD}')"""

AT_NIGHT = "date_trunc('day', attempted_at) + interval '6 hours'"  # one in the morning in Albany

ENTRY_TWICE = """WITH old AS (SELECT * FROM entries WHERE kind = '{0}' LIMIT 1),
    new AS (INSERT INTO entries SELECT gen_random_uuid(), course_id, kind, cause, booked_at FROM old RETURNING id)
    INSERT INTO lines SELECT new.id, number, account, amount_cents, session_id, payment_id
    FROM new, lines WHERE entry_id = (SELECT id FROM old)"""

PLANTED = [
    # I1
    ("booking", "UPDATE outbox SET published_at = NULL WHERE id = 1", "I1 booking outbox 1 ", "is not published"),
    ("billing", retold("required", "45000", "45001"), "I1 billing outbox", "other bytes stand"),
    ("billing", "UPDATE outbox SET kafka_offset = 9999999 WHERE id = 1", "I1 billing outbox 1 ", "nothing stands"),
    (
        "booking",
        f"""WITH two AS (SELECT partition, min(kafka_offset) AS a, max(kafka_offset) AS b FROM outbox
                         WHERE key = '{PAID}' GROUP BY partition)
            UPDATE outbox SET kafka_offset = a + b - kafka_offset FROM two
            WHERE outbox.partition = two.partition AND kafka_offset IN (a, b)""",
        "I1 booking outbox",
        "decided earlier",
    ),
    ("billing", "DELETE FROM inbox WHERE type = 'booking.session.confirmed.v1'", "I1 billing", "never heard"),
    ("booking", "DELETE FROM inbox WHERE id = 'fact-6'; DELETE FROM inbox WHERE id = 'fact-3'", "I1 booking", "fact-3"),
    # I2
    ("booking", told_again("course.accepted"), "I2 booking.course.accepted.v1", "told 2 times"),
    ("billing", ENTRY_TWICE.format("captured"), "I2 payment pay-1", "2 entries"),
    ("billing", ENTRY_TWICE.format("recognized"), f"I2 course {PAID}", "recognized is booked 2 times"),
    ("billing", "DELETE FROM payments", "I2 payment pay-1", "never booked"),
    ("billing", "DELETE FROM reversals", "I2 reversal rev-1", "not on record"),
    ("booking", f"UPDATE courses SET state = 'awaited' WHERE course_id = '{UNPAID}'", "I2 course", "never decided"),
    ("reminders", "DELETE FROM consents WHERE contact_id = 'patient-2'", "I2 contact patient-2", "not in the ledger"),
    # I3
    ("booking", f"UPDATE sessions SET version = 9 WHERE session_id = '{FIRST}'", f"I3 session {FIRST}", "last event"),
    (
        "booking",
        retold("session.rescheduled", '"version":2', '"version":3'),
        f"I3 session {FIRST}",
        "follows version 1",
    ),
    (
        "booking",
        retold("session.cancelled", '"cancelled"', '"released"'),
        f"I3 session {SECOND}",
        "went from confirmed",
    ),
    ("booking", retold("session.confirmed", '"confirmed"', '"held"'), f"I3 session {FIRST}", "is held afterwards"),
    ("booking", NEVER_TOLD.format(in_outbox("course.accepted")), "I3 session", "never accepted"),
    (
        "billing",
        f"UPDATE shares SET version = 1 WHERE session_id = '{FIRST}'",
        f"I3 session {FIRST}",
        "billing believes",
    ),
    ("reminders", "UPDATE sessions SET state = 'held'", f"I3 session {FIRST}", "reminders believes"),
    # I4
    ("booking", AT_THE_SAME_TIME, "I4 chair albany/x", "overlap"),
    ("booking", AT_THE_SAME_TIME.replace("session_id::text", "'y'"), "I4 provider albany/y", "overlap"),
    ("booking", AT_THE_SAME_TIME + "; UPDATE sessions SET patient_id = 'z'", "I4 patient_id /z", "overlap"),
    (
        "booking",
        "UPDATE outbox SET value = convert_to(replace(convert_from(value, 'UTF8'), 'chair-2', 'chair-1'), 'UTF8')",
        "I4 albany/chair/chair-1",
        "overlapped",
    ),
    # I5
    ("reminders", f"UPDATE texts SET attempted_at = {AT_NIGHT}", "I5 text", "in quiet hours"),
    (
        "reminders",
        "UPDATE consents SET allowed = false",
        "I5 text",
        "without consent",
    ),
    (
        "reminders",
        """INSERT INTO consents SELECT gen_random_uuid(), contact_id, false, wording, source,
               recorded_at + interval '1 hour', heard_at + interval '1 hour', phone_version FROM consents""",
        "I5 text",
        "without consent",
    ),
    ("reminders", "UPDATE consents SET phone_version = 0", "I5 text", "without consent"),
    (
        "reminders",
        "UPDATE texts SET session_version = 1 WHERE kind = 'day_of' AND state = 'sent'",
        "I5 text",
        "no longer",
    ),
    (
        "reminders",
        "UPDATE texts SET attempted_at = attempted_at + interval '20 days', deadline_at = '2030-01-01Z'",
        "(booked)",
        "no longer true",
    ),
    ("reminders", "UPDATE texts SET attempted_at = deadline_at WHERE state = 'sent'", "I5 text", "after its deadline"),
    (
        "reminders",
        "DROP INDEX texts_of_course; UPDATE texts SET kind = 'evaluation' WHERE kind = 'booked'",
        "(evaluation)",
        "no longer true",
    ),
    ("reminders", "UPDATE texts SET contact_id = 'somebody' WHERE kind = 'booked'", "(booked)", "no longer true"),
    (
        "reminders",
        f"""UPDATE texts SET kind = 'cancelled', tells = '[["{FIRST}", "2027-01-01T00:00:00Z"]]'
            WHERE kind = 'booked'""",
        "(cancelled)",
        "no longer true",
    ),
    (
        "reminders",
        "UPDATE texts SET kind = 'opt_out_confirmed', course_id = NULL, location = 'albany' WHERE kind = 'booked'",
        "(opt_out_confirmed)",
        "without consent",
    ),
    (
        "reminders",
        f"DROP INDEX one_payment_text_a_day; UPDATE texts SET course_id = '{PAID}' WHERE kind = 'payment_due'",
        f"I5 course {PAID}",
        "2 payment texts",
    ),
    ("reminders", told_again("text.sent"), "I5 text", "told as sent 2 times"),
    ("reminders", "DELETE FROM texts WHERE kind = 'booked'", "I5 attempt", "nothing on record"),
    # I6
    ("billing", "UPDATE lines SET amount_cents = amount_cents + 1 WHERE number = 1", "I6 entry", "sums to 1"),
    ("billing", "UPDATE accounts SET balance_cents = 5", f"I6 course {PAID}", "balance 5"),
    (
        "billing",
        f"UPDATE shares SET prepaid_cents = 45000, basis = 'paid' WHERE session_id = '{FIRST}'",
        f"I6 session {FIRST}",
        "prepaid 45000",
    ),
    ("billing", "UPDATE refunds SET amount_cents = 1", "I6 refund", "1 cents, its parts say 45000"),
    ("billing", "UPDATE refund_parts SET settled_cents = 0", f"I6 course {PAID}", "refunds due 45000"),
    (
        "billing",
        "UPDATE payments SET out_cents = 0; UPDATE payments SET amount_cents = 44999",
        "I6 payment pay-1",
        "go back of 44999",
    ),
    ("billing", "UPDATE payments SET out_cents = 0", "I6 payment pay-1", "out 0"),
    # I7
    ("booking", NEVER_TOLD.format(in_outbox("session.confirmed")), "I7 session", "grant 1 has 0 answers"),
    ("booking", told_again("session.confirmed"), "I7 session", "grant 1 has 2 answers"),
    (
        "booking",
        retold("session.confirmed", '"grant":1', '"grant":7'),
        "I7 session",
        "for grant 7, which billing never",
    ),
    ("booking", retold("session.rescheduled", '"held"', '"confirmed"'), f"I7 session {FIRST}", "without a grant"),
    (
        "booking",
        f"UPDATE sessions SET state = 'confirmed', \"grant\" = 3 WHERE session_id = '{FIRST}'",
        f"I7 session {FIRST}",
        "by grant 3",
    ),
    ("billing", "UPDATE shares SET price_cents = 46000", "I7 session", "granted for 45000, its price is 46000"),
    ("billing", "UPDATE entries SET cause = 'x' WHERE kind = 'allocated'", "I7 session", "without money at it"),
    (
        "billing",
        "UPDATE entries SET cause = 'x' WHERE kind = 'recognized'",
        f"I7 session {FIRST}",
        "no word of booking",
    ),
    # I8
    (
        "booking",
        f"INSERT INTO attention SELECT gen_random_uuid(), 'a', 'b', 'c', 'for {NAME}', now()",
        "I8 a canary in booking.attention.detail",
        "",
    ),
    ("billing", retold("required", "patient-[12]", PHONE), "I8 a canary in billing.outbox.value", ""),
    ("reminders", "UPDATE texts SET body = 'your Ketamine visit' WHERE state = 'sent'", "I8 a text body", "Ketamine"),
    ("reminders", "UPDATE texts SET body = 'pay $450' WHERE state = 'sent'", "I8 a text body", "$4"),
    # I9
    ("reminders", "UPDATE heard SET next_offset = next_offset - 1", "I9 reminders", "has not heard the last 1 of"),
]


async def test_of_a_blameless_run_nothing_is_said(lived: House, scene: dict[str, str]) -> None:
    assert await violations(lived, scene) == []
    assert await check(scene, lived.kafka, patience=0) == []  # also without knowing where the topics began


@pytest.mark.parametrize(
    ("service", "sql", "named", "fact"), PLANTED, ids=[f"{named} {fact}".strip() for *_, named, fact in PLANTED]
)
async def test_a_broken_promise_is_named(
    postgres: str, lived: House, scene: dict[str, str], service: str, sql: str, named: str, fact: str
) -> None:
    async with copies(postgres, {service: lived.urls[service]}) as broken:
        await plant(postgres, broken[service], sql)
        found = await violations(lived, scene | broken)
    assert [line for line in found if named in line and fact in line], found


async def test_money_that_moved_before_the_answer_is_named(postgres: str, lived: House, scene: dict[str, str]) -> None:
    connection = await asyncpg.connect(scene["booking"])
    earlier = await connection.fetchval(f"SELECT event_id FROM outbox WHERE {in_outbox('session.rescheduled')}")
    await connection.close()
    async with copies(postgres, {"billing": lived.urls["billing"]}) as broken:
        await plant(postgres, broken["billing"], f"UPDATE entries SET cause = '{earlier}' WHERE kind = 'recognized'")
        found = await violations(lived, scene | broken)
    assert f"I7 session {FIRST}: the money of grant 1 moved before booking's answer" in found


async def test_a_text_handed_over_twice_is_named(lived: House, scene: dict[str, str]) -> None:
    once_more = [*lived.sent, lived.sent[0]]
    found = await check(scene, lived.kafka, sent=once_more, since=lived.since, patience=0)
    assert found == [f"I5 attempt {lived.sent[0].attempt_id}: handed to the provider 2 times"]


async def test_a_canary_in_a_log_is_named(lived: House, scene: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "booking.log"
    log.write_text(f"all is well\ncould not text {PHONE}\n")
    assert await violations(lived, scene, (log,)) == [f"I8 a canary in {log}:2"]


async def test_a_canary_and_an_unheard_fact_on_a_topic_are_named(lived: House, scene: dict[str, str]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=lived.kafka) as producer:
        place = await producer.send_and_wait("clinic.requests", b"{}", key=NAME.encode())
    found = await violations(lived, scene)
    where = f"clinic.requests/{place.partition}"
    assert f"I8 a canary at {where}/{place.offset}" in found
    assert f"I9 booking: has not heard the last 1 of {where}" in found
    assert [line for line in found if line.startswith("I1 booking: never heard unreadable (missing_header)")]
