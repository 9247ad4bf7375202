"""Kafka: whether it lets accounts in, what each may do, how the topics are made, and its clock."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from deploy.doctor.finding import Finding, clock, failed, ok, warning
from deploy.kafka_account import KafkaTrouble, admin
from deploy.lag import HEARS
from deploy.operator import ServiceName
from shared.cluster import Cluster
from shared.contract import CLINIC_TOPICS, ERASABLE, SERVICE_TOPICS
from shared.topics import TOPICS, Topic

SECONDS: Final = 10
ANSWERS: Final = {"request_timeout": SECONDS}

_HIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
    }
)

IN_MEMORY: Final = "this Kafka does not tell: the one of chairtime up cannot"
"""librdkafka's mock cluster knows none of the calls by which topics and rights are described."""


def look(clusters: Iterable[Cluster]) -> list[Finding]:
    """What there is to say of a Kafka, as each of some accounts sees it; topics and clock as the first that may."""
    found, seen = list[Finding](), False
    for cluster in clusters:
        account = f" {cluster.user}" if cluster.user else ""
        try:
            client, known = admin(cluster)
        except KafkaTrouble as trouble:
            fix = (
                f"give {cluster.user or 'CHAIRTIME_KAFKA_USER'} the password that Kafka knows:"
                " docker compose run --rm setup writes the accounts anew"
                if trouble.denied
                else "start Kafka, or correct CHAIRTIME_KAFKA"
            )
            found.append(failed(f"kafka{account}", str(trouble), fix))
            if not trouble.denied:
                break
            continue
        brokers = len(known.brokers)
        found.append(ok(f"kafka{account}", f"{cluster.servers}, {brokers} broker{'' if brokers == 1 else 's'}"))
        found += _rights(client, cluster.user)
        if not seen:
            seen = True
            found += [*_topics(client, known.topics, cluster.servers), *_clock(client, known.topics)]
    return found


# Topics --------------------------------------------------------------------------------------------------------------


def _topics(client: AdminClient, known: Mapping[str, Any], servers: str) -> list[Finding]:
    if missing := [topic.name for topic in TOPICS if topic.name not in known]:
        hidden = "those that the account may not see are missing to it, too"
        return [failed("topics", f"missing: {', '.join(missing)} ({hidden})", "run chairtime topics")]
    few = {t.name: n for t in TOPICS if (n := len(known[t.name].partitions)) < t.partitions}
    found = [ok("topics", f"all {len(TOPICS)} are there")]
    if few:
        fix = "kafka-topics.sh --alter --partitions 6, while nothing is published: keys change their partition"
        told = f"{min(few.values())} and not 6 of {_all_or(few)}: more replicas have nothing to do"
        found.append(warning("topic partitions", told, fix))
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in TOPICS}
    try:
        settings = client.describe_configs(list(resources), **ANSWERS)
        seen = {resources[r].name: future.result(SECONDS) for r, future in settings.items()}
    except (KafkaException, TimeoutError) as failure:
        return [*found, warning("topic settings", _unseen(failure), "look with the account admin")]
    faults = [
        fault
        for topic in TOPICS
        for fault in faults_of(topic, {name: entry.value for name, entry in seen[topic.name].items()})
    ]
    found += [
        failed(
            "topic settings",
            f"{topic}: {name} is {value}, not {wanted}",
            f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name {topic}"
            f" --add-config {name}={wanted}",
        )
        for topic, name, value, wanted in faults
    ]
    return found if faults else [*found, ok("topic settings", "kept as long, and stamped by Kafka, as they must be")]


def _all_or(names: Iterable[str]) -> str:
    given = list(names)
    return "every topic" if len(given) == len(TOPICS) else ", ".join(given)


def faults_of(topic: Topic, told: Mapping[str, str | None]) -> list[tuple[str, str, str, str]]:
    """Topic, setting, its value, and the value that it must have; one that keeps or takes more than it must is fine."""
    faults = []
    for name, wanted in topic.configs.items():
        value = told.get(name) or ""
        enough = name in ("retention.ms", "max.message.bytes") and (value == "-1" or int(value or 0) >= int(wanted))
        if not enough and value != wanted:
            faults.append((topic.name, name, value, wanted))
    return faults


# Rights --------------------------------------------------------------------------------------------------------------


def needed(account: str) -> tuple[frozenset[str], frozenset[str]]:
    """The topics that an account must read, and those that it must write."""
    if account in tuple(ServiceName):
        return frozenset(HEARS[ServiceName(account)]), frozenset({f"{account}.events", f"{account}.dead-letters"})
    return frozenset(), frozenset(CLINIC_TOPICS)


def foreign(account: str) -> tuple[frozenset[str], frozenset[str]]:
    """The topics that it must not read (personal ones of others), and those that it must not write."""
    reads, writes = needed(account)
    return frozenset(ERASABLE) - reads, frozenset(topic.name for topic in TOPICS) - writes


def judged(account: str, reads: frozenset[str], writes: frozenset[str]) -> Finding:
    """Whether an account may do what it must, and nothing foreign.

    Args:
        reads: the topics that it may read, as Kafka says; `writes` likewise.
    """
    check = f"rights {account}"
    must_read, must_write = needed(account)
    no_read, no_write = foreign(account)
    lacking = [f"read {t}" for t in sorted(must_read - reads)] + [f"write {t}" for t in sorted(must_write - writes)]
    beyond = [f"read {t}" for t in sorted(no_read & reads)] + [f"write {t}" for t in sorted(no_write & writes)]
    fix = "docker compose run --rm setup writes the rights anew; kafka-acls.sh --list shows what else is there"
    if lacking:
        return failed(check, f"may not {', '.join(lacking)}", fix)
    if beyond:
        return failed(check, f"may also {', '.join(beyond)}", fix)
    return ok(check, "may do what it must, and nothing foreign")


def _rights(client: AdminClient, account: str | None) -> list[Finding]:
    if account is None:
        fix = "give Kafka accounts (docker-compose.yml does), and set CHAIRTIME_KAFKA_USER and _PASSWORD"
        return [warning("rights", "no account: whoever reaches this Kafka reads and writes everything", fix)]
    if account not in (*ServiceName, "clinic"):
        return []  # an administrator, who may do everything
    try:
        futures = client.describe_topics(
            TopicCollection([topic.name for topic in TOPICS]), include_authorized_operations=True, **ANSWERS
        )
        may = {name: _operations(future) for name, future in futures.items()}
        found = [
            judged(
                account,
                frozenset(name for name, operations in may.items() if AclOperation.READ in operations),
                frozenset(name for name, operations in may.items() if AclOperation.WRITE in operations),
            )
        ]
        if account in tuple(ServiceName):
            group = client.describe_consumer_groups([account], include_authorized_operations=True, **ANSWERS)[account]
            if AclOperation.READ not in _operations(group):
                fix = "docker compose run --rm setup writes the rights anew"
                found.append(failed(f"group {account}", "the account may not join its own group", fix))
    except (KafkaException, TimeoutError) as failure:
        return [warning(f"rights {account}", _unseen(failure), "look with a newer Kafka, 2.3 or later")]
    return found


def _operations(described: Any) -> frozenset[AclOperation]:
    """What the account may do with a topic or group; nothing where it may not even see it."""
    try:
        return frozenset(described.result(SECONDS).authorized_operations or ())
    except KafkaException as failure:
        if failure.args[0].code() in _HIDDEN:
            return frozenset()
        raise


# Clock ---------------------------------------------------------------------------------------------------------------


def _clock(client: AdminClient, known: Mapping[str, Any]) -> list[Finding]:
    """Kafka does not tell the time; the newest stamp that it has put on a record cannot lie in what is to come."""
    places = [TopicPartition(name, p) for name in SERVICE_TOPICS if name in known for p in known[name].partitions]
    try:
        newest_of = {place: OffsetSpec.max_timestamp() for place in places}  # type: ignore[no-untyped-call]
        futures = client.list_offsets(newest_of, **ANSWERS)
        newest = max((future.result(SECONDS).timestamp for future in futures.values()), default=-1) / 1000
    except (KafkaException, TimeoutError) as failure:
        return [warning("clock kafka", _unseen(failure), "look with an account that may see the services' topics")]
    if newest <= 0:
        return [ok("clock kafka", "no event has a stamp yet")]
    ahead = newest - time.time()
    if ahead > 1:
        return [clock("clock kafka", "Kafka's clock", ahead)]
    return [ok("clock kafka", f"not ahead of this machine's; the newest event is of {_shown(newest)}")]


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


def _unseen(failure: Exception) -> str:
    error: Any = failure.args[0] if failure.args else None
    return f"not seen: {error.str()}" if hasattr(error, "str") else IN_MEMORY
