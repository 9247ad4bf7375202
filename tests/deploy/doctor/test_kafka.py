"""What the doctor makes of what Kafka has told: no server."""

from confluent_kafka.admin import AclOperation

from deploy.doctor.finding import State
from deploy.doctor.kafka import faults_of, judged, may
from deploy.preparing.accounts import ACCOUNTS
from shared.kafka.topics import TOPICS


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
