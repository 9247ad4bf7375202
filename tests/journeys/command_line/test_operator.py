"""`chairtime` as an operator uses it, on all of Chairtime with a real Kafka and PostgreSQL."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer

from shared.contract.clinic import SessionRescheduleRequested
from tests.facts.clinic import payment_captured, session_reschedule_requested
from tests.failures.test_defects import Defect
from tests.journeys.conftest import Course, Journey, weekday_mornings
from tests.stand_ins.callers import key_of, keys_file
from tests.stand_ins.command_line import House, Ran, chairtime

PRICE = 45000


def one_visit(journey: Journey, hour: int) -> Course:
    return Course([weekday_mornings(journey.now, 1, weeks_ahead=2)[0].replace(hour=hour)])


def put(kafka: str, topic: str, value: bytes) -> None:
    """Bytes that are no event, as some foreign program may send them."""
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, value, headers=[("ce_id", str(uuid4()).encode()), ("x-name", b"Robin Example")])
    producer.flush(10)


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
        await journey.publish(session_reschedule_requested(1, later, course.id, session_id=course.sessions[0]))
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


async def test_a_matter_is_listed_and_settled_once_with_its_reason(house: House) -> None:
    journey = house.journey
    orphan = payment_captured(PRICE, "till-1", journey.now, course_id=uuid4())
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
