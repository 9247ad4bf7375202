"""What the command line makes of what it has read: no server, no process."""

from datetime import datetime
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation

from deploy.commands.terminal import counted, instant
from deploy.doctor.finding import State, clock
from deploy.doctor.kafka import faults_of, judged, may
from deploy.operating.services import without_phone
from deploy.operating.timeline import states, timeline
from deploy.preparing.accounts import ACCOUNTS
from deploy.preparing.new_clinic import NewClinic, files_of
from shared.kafka.topics import TOPICS

FIRST, SECOND = "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01", "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c02"


def event(at: str, type: str, published_at: str | None = None, **data: Any) -> dict[str, Any]:
    return {"at": at, "published_at": published_at or at, "id": f"{at} {type}", "type": type, "data": data}


def story(*events: dict[str, Any], letters: Any = (), attention: Any = ()) -> dict[str, Any]:
    return {"events": events, "dead_letters": letters, "attention": attention}


ACCEPTED = event(
    "2030-01-04T12:00:00Z",
    "booking.course.accepted.v1",
    sessions=[
        {"session_id": FIRST, "number": 1, "state": "held"},
        {"session_id": SECOND, "number": 2, "state": "held"},
    ],
)
CONFIRMED = event(
    "2030-01-04T12:00:00.250000Z",
    "booking.session.confirmed.v1",
    session_id=FIRST,
    number=1,
    state="confirmed",
    grant=1,
)


def test_the_services_stories_become_one_in_order_of_time_with_each_sessions_number() -> None:
    satisfied = event(
        "2030-01-04T12:00:00.200000Z", "billing.prepayment.satisfied.v1", session_id=FIRST, basis="paid", grant=1
    )
    told = timeline({"reminders": story(), "billing": story(satisfied), "booking": story(ACCEPTED, CONFIRMED)})
    assert [(m.who, m.what, m.session) for m in told] == [
        ("booking", "course accepted", None),
        ("billing", "prepayment satisfied", 1),
        ("booking", "session confirmed", 1),
    ]
    assert told[1].told == {"basis": "paid", "grant": 1}


def test_what_happened_at_one_instant_stands_in_the_order_in_which_it_was_published() -> None:
    at = "2030-01-04T12:00:00Z"
    effect = event(at, "booking.session.confirmed.v1", "2030-01-04T12:00:00.300000Z", session_id=FIRST)
    cause = event(at, "billing.prepayment.satisfied.v1", "2030-01-04T12:00:00.100000Z", session_id=FIRST)
    told = timeline({"booking": story(effect), "billing": story(cause)})
    assert [m.who for m in told] == ["billing", "booking"]


def test_what_waits_for_a_person_and_what_is_to_come_stand_in_the_timeline() -> None:
    letter = {"id": 7, "kind": "defect", "error_type": "KeyError", "topic": "x", "at": "2030-01-05T09:00:00Z"}
    matter = {
        "id": "m",
        "kind": "unreported_session",
        "subject": SECOND,
        "raised_at": "2030-01-08T04:00:00Z",
        "resolved_at": "2030-01-08T05:00:00Z",
    }
    text = {"text_id": "t", "kind": "day_of", "session_id": FIRST, "due_at": "2030-01-04T09:00:00Z"}
    planned = [text | {"state": "scheduled"}, text | {"state": "sent"}]
    told = timeline({"booking": story(ACCEPTED, letters=[letter], attention=[matter])}, planned)
    assert [(m.what, m.session, m.id) for m in told[1:]] == [
        ("dead letter open", None, "booking/7"),
        ("attention raised", 2, "booking/m"),
        ("attention resolved", 2, "booking/m"),
        ("text planned", 1, "t"),
    ]


def test_how_a_course_stands_is_what_booking_told_last() -> None:
    assert states({"booking": story(ACCEPTED, CONFIRMED)}) == {
        "course": "accepted",
        "sessions": {1: "confirmed", 2: "held"},
    }
    assert states({"billing": story()}) == {"course": "unknown", "sessions": {}}


@pytest.mark.parametrize(
    ("aggregate", "told"),
    [("phone:+16305550100", "phone"), ("stop:+16305550100", "stop"), ("course:1", "course:1"), (None, None)],
)
def test_a_phone_number_is_told_to_nobody(aggregate: str | None, told: str | None) -> None:
    assert without_phone(aggregate) == told


def test_instants_and_counts_as_people_read_them() -> None:
    assert instant("2030-01-04T12:00:00.250000Z") == "2030-01-04 12:00:00Z"
    assert instant(datetime.fromisoformat("2030-01-04T12:00:00+00:00")) == "2030-01-04 12:00:00Z"
    assert (counted(1, "event"), counted(1200, "event")) == ("1 event", "1,200 events")


def test_an_account_that_may_do_what_it_must_and_nothing_else_is_fine() -> None:
    for account in ACCOUNTS:
        assert judged(account, may(account)).state is State.OK


def test_an_account_that_lacks_a_right_or_has_a_foreign_one_is_named_with_it() -> None:
    contacts, patients = (AclOperation.READ, "clinic.contacts"), (AclOperation.READ, "clinic.patients")
    lacking = judged("reminders", may("reminders") - {contacts})
    assert (lacking.state, lacking.told) == (State.FAILED, "may not read clinic.contacts")
    assert lacking.fix
    beyond = judged("reminders", may("reminders") | {patients, (AclOperation.WRITE, "billing.events")})
    assert beyond.told == "may also read clinic.patients, write billing.events"


def test_a_topic_that_keeps_too_little_or_takes_others_stamps_is_a_fault_and_one_that_keeps_more_is_none() -> None:
    topic = next(topic for topic in TOPICS if topic.name == "booking.dead-letters")
    made = dict(topic.configs)
    assert faults_of(topic, made) == []
    assert faults_of(topic, made | {"retention.ms": "-1", "max.message.bytes": "8388608"}) == []
    wrong = made | {"retention.ms": "1000", "message.timestamp.type": "CreateTime"}
    assert [(name, value) for _, name, value, _ in faults_of(topic, wrong)] == [
        ("retention.ms", "1000"),
        ("message.timestamp.type", "CreateTime"),
    ]
    personal = next(topic for topic in TOPICS if topic.name == "clinic.contacts")
    assert faults_of(personal, {**personal.configs, "cleanup.policy": "delete"})


@pytest.mark.parametrize(
    ("ahead", "state"), [(0.4, State.OK), (-1.9, State.OK), (5, State.WARNING), (-61, State.FAILED)]
)
def test_a_clock_that_is_off_is_worse_the_more_it_is(ahead: float, state: State) -> None:
    assert clock("clock", "its clock", ahead).state is state


def test_a_new_clinics_texts_begin_with_its_own_name_and_nothing_of_the_shipped_one_is_left() -> None:
    clinic = NewClinic("lake", 'Lake "West"', "main", "America/Chicago", "US-IL", "x", "+16305550100", 2, 3, 45000)
    files = files_of(clinic)
    assert 'sender = "Lake \\"West\\""' in files["reminders.toml"]
    assert not [name for name, content in files.items() if "tabilization" in content]
