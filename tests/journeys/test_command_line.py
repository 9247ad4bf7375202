"""`chairtime` as an operator uses it, on all of Chairtime with a real Kafka and PostgreSQL: one stack for all of it."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp import web
from confluent_kafka import Producer

from deploy.cli import main
from deploy.embedded import Embedded
from deploy.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from deploy.mock_kafka import MockKafka
from shared.contract import PaymentCaptured, SessionRescheduleRequested
from shared.topics import TOPICS
from tests.callers import key_of, keys_file
from tests.failures.test_defects import Defect
from tests.journeys.conftest import Course, Journey, weekday_mornings
from tests.kafka_clients import begin_at_the_end

PRICE = 45000


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one document."""
        return json.loads(self.out)


class House:
    """A running Chairtime and somebody at its command line."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.databases = {f"CHAIRTIME_{name.upper()}_DATABASE": url for name, url in journey.embedded.urls.items()}

    async def run(self, *arguments: str, **environment: str) -> Ran:
        """One command to its end, beside the services."""
        return await asyncio.to_thread(
            chairtime, *arguments, **{"CHAIRTIME_HOME": str(self.journey.embedded.home)} | environment
        )

    async def doctor(self, *parts: str, **environment: str) -> dict[str, dict[str, Any]]:
        """What the doctor found, by check."""
        ran = await self.run("doctor", "--json", *parts, **self.databases | environment)
        found = {finding["check"]: finding for finding in ran.json["checks"]}
        assert ran.code == (1 if ran.json["failed"] else 0)
        assert all((f["fix"] is None) == (f["state"] == "ok") for f in found.values())
        return found


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def chairtime(*arguments: str, stdin: io.StringIO | None = None, **environment: str) -> Ran:
    """`chairtime` in this process; nobody can be asked, unless `stdin` is a terminal."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHAIRTIME_")}
    with (
        patch.dict(os.environ, clean | environment, clear=True),
        patch("sys.stdin", stdin or io.StringIO()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
async def house(kafka: str) -> AsyncIterator[House]:
    """One Chairtime for all tests of this file, on the session's Kafka."""
    home = Path(tempfile.mkdtemp(prefix="chairtime-"))
    await begin_at_the_end(kafka)
    embedded = Embedded(home, kafka=kafka, stepped=True, show=lambda _: None)
    journey = Journey(embedded, await embedded.start(), [])
    try:
        await journey.start()
        yield House(journey)
    finally:
        await journey.stop()
        await embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


def one_visit(journey: Journey, hour: int) -> Course:
    return Course([weekday_mornings(journey.now, 1, weeks_ahead=2)[0].replace(hour=hour)])


def put(kafka: str, topic: str, value: bytes) -> None:
    """Bytes that are no event, as some foreign program may send them."""
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, value, headers=[("ce_id", str(uuid4()).encode()), ("x-name", b"Robin Example")])
    producer.flush(10)


# A course ------------------------------------------------------------------------------------------------------------


async def test_a_courses_story_is_one_timeline_over_the_three_services_without_its_patient(house: House) -> None:
    journey = house.journey
    course = one_visit(journey, 9)
    await journey.publish(course.contact(journey.now), course.patient, course.requested)
    await journey.publish(course.paid(journey.now, PRICE))
    ran = await house.run("course", str(course.id), "--json")
    told = ran.json
    assert (ran.code, told["course"], told["sessions"]) == (0, "accepted", {"1": "confirmed"})
    happened = [(moment["who"], moment["what"]) for moment in told["timeline"]]
    in_order = [
        ("booking", "course accepted"),
        ("billing", "prepayment required"),
        ("billing", "prepayment satisfied"),
        ("booking", "session confirmed"),
        ("reminders", "text planned"),
    ]
    assert [happened.index(moment) for moment in in_order] == sorted(happened.index(moment) for moment in in_order)
    shown = await house.run("course", str(course.id))
    assert shown.out.startswith(f"course {course.id}: accepted\nsessions: 1 confirmed\n")
    for private in (course.patient_id, "Robin", "F33.2", "ketamine", "+1630", str(PRICE)):
        assert private not in ran.out + shown.out


async def test_a_course_that_nobody_knows_is_said_so(house: House) -> None:
    ran = await house.run("course", str(uuid4()))
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)


# Dead letters --------------------------------------------------------------------------------------------------------


async def test_a_letter_is_listed_shown_and_dropped_once_and_never_without_being_asked(house: House) -> None:
    await asyncio.to_thread(put, house.journey.address.kafka, "clinic.requests", b"Robin Example")
    await house.journey.pass_time(timedelta())
    (letter,) = (await house.run("dead-letters", "list", "--service", "booking", "--json")).json
    name = f"booking/{letter['id']}"
    listed = await house.run("dead-letters", "list")
    assert (listed.code, listed.err) == (0, "1 dead letter open\n")
    assert name in listed.out
    shown = await house.run("dead-letters", "show", name)
    assert f"clinic.requests, partition {letter['partition']}, offset {letter['kafka_offset']}" in shown.out
    assert "Robin" not in listed.out + shown.out
    assert (await house.run("dead-letters", "list", "--since", "2999-01-01", "--json")).json == []

    again = await house.run("dead-letters", "retry", name, "--yes")
    assert (again.code, again.out) == (1, "0 retried\n")
    assert again.err == f"{name} failed again: Unreadable; it stays open\n"
    drop = ("dead-letters", "discard", name, "--reason", "a stranger's bytes")
    asked = await house.run(*drop)
    assert (asked.code, asked.err.count("\n")) == (2, 1)
    assert asked.err.endswith("add --yes\n")
    assert await house.run(*drop, "--yes") == Ran(0, "1 discarded, 0 released\n", "")
    assert await house.run(*drop, "--yes") == Ran(0, "0 discarded, 0 released\n", "")
    (ended,) = (await house.run("dead-letters", "list", "--status", "discarded", "--json")).json
    assert (ended["reason"], ended["ended_by"]) == ("a stranger's bytes", "up")


async def test_what_a_mended_rule_had_held_back_is_retried_once_several_at_a_time_or_by_error_type(
    house: House,
) -> None:
    journey = house.journey
    courses = [one_visit(journey, hour) for hour in (11, 13)]
    await journey.publish(*(course.requested for course in courses))
    defect = Defect(journey, "booking", lambda m: isinstance(m.data, SessionRescheduleRequested))
    for course in courses:
        later = course.starts[0] + timedelta(hours=1)
        await journey.publish(
            SessionRescheduleRequested(course_id=course.id, session_id=course.sessions[0], starts_at=later)
        )
    failing = await house.run("dead-letters", "retry", "--error-type", "ZeroDivisionError", "--yes", "--json")
    assert (failing.code, failing.json["retried"], len(failing.json["failed"])) == (1, 0, 2)
    story = await house.run("course", str(courses[0].id))
    assert "dead letter open" in story.out
    defect.heal()
    letters = (await house.run("dead-letters", "list", "--json")).json
    first, second = [f"{letter['service']}/{letter['id']}" for letter in letters]
    assert await house.run("dead-letters", "retry", first, second, "-y") == Ran(0, "2 retried\n", "")
    assert await house.run("dead-letters", "retry", first, second, "-y") == Ran(0, "0 retried\n", "")
    by_type = await house.run("dead-letters", "retry", "--error-type", "ZeroDivisionError", "-y")
    assert by_type == Ran(0, "0 retried\n", "")


# Attention and texts -------------------------------------------------------------------------------------------------


async def test_a_matter_is_listed_and_settled_once_with_its_reason(house: House) -> None:
    journey = house.journey
    orphan = PaymentCaptured(
        payment_id="till-1",
        course_id=uuid4(),
        amount_cents=PRICE,
        currency="USD",
        method="card",
        captured_at=journey.now,
    )
    await journey.publish(orphan)
    await journey.pass_time(timedelta(hours=25))
    listed = (await house.run("attention", "list", "--service", "billing", "--json")).json
    (matter,) = [row for row in listed if row["kind"] == "payment_without_course"]
    name = f"billing/{matter['id']}"
    assert name in (await house.run("attention", "list")).out
    settle = ("attention", "resolve", name, "--reason", "it was another clinic's")
    assert await house.run(*settle) == Ran(0, f"{name}: resolved\n", "")
    again = await house.run(*settle)
    assert (again.code, again.err) == (1, "billing: not_found: there is no such open matter\n")


async def test_texts_are_paused_and_resumed(house: House) -> None:
    paused = (await house.run("texts", "pause", "--clinic", "stella", "--reason", "water damage", "--json")).json
    assert [(p["scope"], p["subject"], p["reason"]) for p in paused] == [("clinic", "stella", "water damage")]
    assert "water damage" in (await house.run("texts", "list")).out
    everyone = ("texts", "pause", "--all", "--reason", "a drill")
    assert (await house.run(*everyone)).code == 2
    assert len((await house.run(*everyone, "--yes", "--json")).json) == 2
    assert len((await house.run("texts", "resume", "--all", "--json")).json) == 1
    assert await house.run("texts", "resume", "--clinic", "stella") == Ran(0, "no text is paused\n", "")
    unknown = await house.run("texts", "pause", "--clinic", "atlantis", "--reason", "x")
    assert (unknown.code, unknown.err) == (1, "reminders: not_found: there is no such clinic\n")
    assert (await house.run("texts", "pause", "--reason", "x")).code == 2


# Kafka ---------------------------------------------------------------------------------------------------------------


async def test_published_events_are_heard_and_nothing_lags_behind(house: House, tmp_path: Path) -> None:
    course = one_visit(house.journey, 15)
    data = course.requested.model_dump(mode="json", exclude_none=True)
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"id": str(uuid4()), "type": course.requested.type, "data": data}) + "\n")
    published = await house.run("publish", str(file), "--json")
    assert published.json == {"published": 1, "kafka": house.journey.address.kafka}
    assert published.err == ""
    await house.journey.pass_time(timedelta())
    rows = (await house.run("lag", "--json")).json
    assert {row["service"] for row in rows} == {"booking", "billing", "reminders"}
    heard = [row for row in rows if row["service"] == "booking" and row["topic"] == "clinic.requests"]
    assert len(heard) == 6
    assert sum(row["end"] for row in heard) >= 1
    assert sum(row["behind"] for row in rows) == 0
    shown = await house.run("lag", "--service", "reminders")
    assert shown.out.splitlines()[0].split() == ["service", "topic", "end", "lag", "behind"]
    assert {line.split()[0] for line in shown.out.splitlines()[1:]} == {"reminders"}


async def test_what_a_service_has_not_read_is_its_lag(house: House) -> None:
    """Of a group that has never committed anything all counts."""
    rows = (await house.run("lag", "--service", "booking", "--json")).json
    for row in rows:
        assert row["lag"] == row["end"] - (row["committed"] or 0) or row["committed"] is None
        assert row["behind"] == row["end"] - row["heard"]


# Doors ---------------------------------------------------------------------------------------------------------------


async def test_a_wrong_key_a_missing_role_and_a_service_that_is_away_are_told_apart(
    house: House, tmp_path: Path
) -> None:
    wrong = await house.run("dead-letters", "list", "--key", "wrong")
    assert (wrong.code, wrong.err) == (
        77,
        "booking does not know this API key: --key or CHAIRTIME_API_KEY, one with the role operator\n",
    )
    keys = house.journey.embedded.home / "api_keys.toml"
    before = keys.read_text()
    keys.write_text(before + keys_file(tmp_path).read_text())
    role = await house.run("attention", "list", CHAIRTIME_API_KEY=key_of("till"))
    keys.write_text(before)
    assert (role.code, role.err) == (
        77,
        "booking does not let this API key do it: this needs one of the roles operator\n",
    )
    away = await house.run("texts", "list", CHAIRTIME_REMINDERS_URL="http://127.0.0.1:1")
    assert (away.code, away.err.count("\n")) == (69, 1)
    assert away.err.startswith("reminders does not answer at http://127.0.0.1:1 ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("course", "not-an-id"),
        ("dead-letters", "list", "--since", "2030-02-30"),
        ("dead-letters", "list", "--status", "lost"),
        ("dead-letters", "show", "booking/x"),
        ("dead-letters", "show", "7"),
        ("dead-letters", "retry", "--yes"),
        ("dead-letters", "retry", "booking/1", "--error-type", "x", "--yes"),
        ("attention", "resolve", "billing/7", "--reason", "x"),
        ("attention", "resolve", f"billing/{UUID(int=1)}"),
        ("texts", "resume"),
        ("publish", "/nowhere.jsonl"),
        ("init", "--yes"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_usage(arguments: tuple[str, ...]) -> None:
    ran = chairtime(*arguments)
    assert ran.code == 2
    assert (ran.out, ran.err.startswith("Usage: chairtime")) == ("", True)


# Doctor --------------------------------------------------------------------------------------------------------------


async def test_the_doctor_finds_nothing_wrong_with_a_sound_house(house: House) -> None:
    found = await house.doctor()
    states = {check: finding["state"] for check, finding in found.items()}
    assert "failed" not in states.values(), [f for f in found.values() if f["state"] == "failed"]
    for check in ("profiles", "kafka", "topics", "topic settings", "postgresql booking", "migrations reminders"):
        assert states[check] == "ok", found[check]
    assert {states[f"clock postgresql {service}"] for service in ("booking", "billing", "reminders")} == {"ok"}
    assert states["rights"] == "warning"
    shown = await house.run("doctor", "postgresql", **house.databases)
    assert shown.out.splitlines()[-1].endswith(" 0 failed")
    assert shown.code == 0


async def test_the_doctor_names_what_is_wrong_with_kafka_and_how_to_mend_it(house: House) -> None:
    found = await house.doctor("kafka", CHAIRTIME_KAFKA="127.0.0.1:1")
    assert (found["kafka"]["state"], found["kafka"]["told"]) == ("failed", "Kafka at 127.0.0.1:1: no broker answers")
    found = await house.doctor(
        "kafka", CHAIRTIME_KAFKA_USER="booking", CHAIRTIME_KAFKA_PASSWORD="of nobody who is known"
    )
    assert found["kafka booking"]["state"] == "failed"
    assert "of nobody" not in str(found)
    with MockKafka() as cluster:
        cluster.create_topics(topic.name for topic in TOPICS if topic.name != "clinic.payments")
        found = await house.doctor("kafka", CHAIRTIME_KAFKA=cluster.address)
    assert found["topics"]["told"].endswith("missing: clinic.payments")
    assert found["topics"]["fix"] == "run chairtime topics"


async def test_the_doctor_names_what_is_wrong_with_a_database_and_how_to_mend_it(
    house: House, databases: Mapping[str, str]
) -> None:
    old = await asyncpg.connect(databases["booking"].replace("booking@", "postgres@"))
    try:
        await old.execute("UPDATE alembic_version SET version_num = '0001'")
    finally:
        await old.close()
    away = "postgresql://booking:a-password@127.0.0.1:1/booking"
    stranger = databases["reminders"].replace("/reminders_", "/nowhere_")
    found = await house.doctor(
        "postgresql",
        CHAIRTIME_BOOKING_DATABASE=databases["booking"],
        CHAIRTIME_BILLING_DATABASE=away,
        CHAIRTIME_REMINDERS_DATABASE=stranger,
    )
    assert found["migrations booking"]["told"].startswith("at 0001, not ")
    assert found["migrations booking"]["fix"] == "run chairtime migrate"
    assert found["postgresql billing"]["told"] == "booking at 127.0.0.1/booking: no PostgreSQL answers"
    assert found["postgresql reminders"]["told"].endswith("there is no such database")
    assert "a-password" not in str(found)


async def test_the_doctor_names_a_service_that_is_away_and_a_profile_that_is_wrong(
    house: House, tmp_path: Path
) -> None:
    shutil.copytree(Path("deploy/clinics/stella"), tmp_path / "stella")
    file = tmp_path / "stella" / "billing.toml"
    file.write_text(file.read_text().replace("lead_hours = 48", "lead_hours = 4.8"))
    found = await house.doctor(
        "profiles", "services", CHAIRTIME_PROFILES=str(tmp_path), CHAIRTIME_BILLING_URL="http://127.0.0.1:1"
    )
    assert found["profiles"]["told"].startswith("stella/billing.toml: due.lead_hours: ")
    assert found["service billing"]["state"] == "failed"
    assert "CHAIRTIME_BILLING_URL" in found["service billing"]["fix"]
    assert found["service booking"]["state"] == "ok"


async def test_the_doctor_tries_twilios_account_and_the_address_at_which_it_calls(house: House) -> None:
    async def listening_to_everybody(request: web.Request) -> web.Response:
        return web.Response(status=200)

    app = web.Application()
    app.router.add_post("/webhooks/twilio/status", listening_to_everybody)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    open_door = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with FakeTwilio() as twilio:
            texts = {
                "CHAIRTIME_SMS": "twilio",
                "CHAIRTIME_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "CHAIRTIME_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "CHAIRTIME_TWILIO_URL": twilio.url,
                "CHAIRTIME_TWILIO_NUMBERS": "stella=+15550100001",
                "CHAIRTIME_CLINICS": "stella",
                "CHAIRTIME_PUBLIC_URL": house.journey.address.reminders,
            }
            found = await house.doctor("texts", **texts)
            assert (found["twilio"]["state"], found["webhook"]["state"]) == ("ok", "ok")
            assert found["webhook address"]["told"] == "CHAIRTIME_PUBLIC_URL is not https"
            found = await house.doctor(
                "texts",
                **texts | {"CHAIRTIME_TWILIO_AUTH_TOKEN": "another token than that", "CHAIRTIME_PUBLIC_URL": open_door},
            )
            assert found["twilio"]["told"] == "Twilio does not accept the account or its token"
            assert found["webhook"]["told"].endswith("answers 200 to a call that is not signed, not 403")
            assert "another token" not in str(found)
            found = await house.doctor("texts", **texts | {"CHAIRTIME_PUBLIC_URL": "https://10.0.0.1:1"})
            assert found["webhook address"]["told"] == "10.0.0.1 is not a public address"
            assert found["webhook"]["state"] == "failed"
    finally:
        await runner.cleanup()
