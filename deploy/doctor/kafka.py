"""Kafka: whether it lets accounts in, what each may do, how the topics are made, and its clock."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, OffsetSpec, ResourceType

from deploy.doctor.finding import Finding, clock, failed, ok, warning
from deploy.operating.kafka_account import KafkaTrouble, admin
from deploy.operating.services import ServiceName
from deploy.preparing.accounts import ACCOUNTS, rights
from shared.contract.topics import SERVICE_TOPICS
from shared.kafka.cluster import Cluster
from shared.kafka.topics import TOPICS, Topic

SECONDS: Final = 10
ANSWERS: Final = {"request_timeout": SECONDS}

RIGHTS: Final = "docker compose run --rm topics writes accounts and rights anew"

READ_OR_WRITE: Final = frozenset({AclOperation.READ, AclOperation.WRITE})

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
    """What there is to say of a Kafka, as each of some accounts sees it; topics' settings and clock as the first."""
    found, clients, known, visible = list[Finding](), list[AdminClient](), dict[str, Any](), set[str]()
    for cluster in clusters:
        account = f" {cluster.user}" if cluster.user else ""
        try:
            client, seen = admin(cluster)
        except KafkaTrouble as trouble:
            fix = f"give {cluster.user or 'CHAIRTIME_KAFKA_USER'} the password that Kafka knows; {RIGHTS}"
            found.append(
                failed(
                    f"kafka{account}", str(trouble), fix if trouble.denied else "start it, or correct CHAIRTIME_KAFKA"
                )
            )
            if not trouble.denied:
                return found
            continue
        brokers = len(seen.brokers)
        found.append(ok(f"kafka{account}", f"{cluster.servers}, {brokers} broker{'' if brokers == 1 else 's'}"))
        found += _rights(client, cluster.user)
        clients.append(client)
        known |= seen.topics
        visible |= _visible(cluster.user)
    if clients:
        found += [*_topics(clients[0], known, visible), *_clock(clients, known)]
    return found


def _visible(account: str | None) -> set[str]:
    """The topics that an account can see: all, unless its rights are known to be fewer."""
    if account not in ACCOUNTS:
        return {topic.name for topic in TOPICS}
    return {topic for _, topic in may(account)}


def _topics(client: AdminClient, known: Mapping[str, Any], visible: set[str]) -> list[Finding]:
    wanted = [topic for topic in TOPICS if topic.name in visible]
    if missing := [topic.name for topic in wanted if topic.name not in known]:
        return [failed("topics", f"missing: {', '.join(missing)}", "run chairtime topics")]
    few = {t.name: n for t in wanted if (n := len(known[t.name].partitions)) < t.partitions}
    found = [ok("topics", f"all {len(wanted)}{'' if len(wanted) == len(TOPICS) else ' of this account'} are there")]
    if few:
        fix = "kafka-topics.sh --alter --partitions 6, while nothing is published: keys change their partition"
        told = f"{min(few.values())} and not 6 of {_all_or(few)}: more replicas have nothing to do"
        found.append(warning("topic partitions", told, fix))
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in wanted}
    try:
        settings = client.describe_configs(list(resources), **ANSWERS)
        seen = {resources[r].name: future.result(SECONDS) for r, future in settings.items()}
    except (KafkaException, TimeoutError) as failure:
        return [
            *found,
            warning(
                "topic settings",
                _unseen(failure),
                "look as the administrator: docker compose run --rm topics doctor kafka",
            ),
        ]
    faults = [
        fault
        for topic in TOPICS
        for fault in faults_of(topic, {name: entry.value for name, entry in seen[topic.name].items()})
    ]
    found += [
        failed(
            "topic settings",
            f"{topic}: {name} is {value}, not {wanted}",
            f"kafka-configs.sh --bootstrap-server ... --alter --entity-type topics --entity-name {topic}"
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


def may(account: str) -> frozenset[tuple[AclOperation, str]]:
    """The topics that an account reads and writes, and shall read and write alone."""
    return frozenset((AclOperation(r.operation), r.name) for r in rights(account) if r.restype == ResourceType.TOPIC)


def judged(account: str, told: frozenset[tuple[AclOperation, str]]) -> Finding:
    """Whether an account may do what it must, and nothing foreign.

    Args:
        told: the reads and writes that Kafka lets it do.
    """
    check, must = f"rights {account}", may(account)
    for words, odd in (("may not", must - told), ("may also", told - must)):
        if odd:
            return failed(check, f"{words} {', '.join(sorted(f'{o.name.lower()} {t}' for o, t in odd))}", RIGHTS)
    return ok(check, "may do what it must, and nothing foreign")


def _rights(client: AdminClient, account: str | None) -> list[Finding]:
    if account is None:
        fix = "give Kafka accounts (docker-compose.yml does), and set CHAIRTIME_KAFKA_USER and _PASSWORD"
        return [warning("rights", "no account: whoever reaches this Kafka reads and writes everything", fix)]
    if account not in ACCOUNTS:
        return []  # an administrator, who may do everything
    try:
        futures = client.describe_topics(
            TopicCollection([topic.name for topic in TOPICS]), include_authorized_operations=True, **ANSWERS
        )
        told = {(o, name) for name, future in futures.items() for o in _operations(future) if o in READ_OR_WRITE}
        found = [judged(account, frozenset(told))]
        if account in tuple(ServiceName):
            group = client.describe_consumer_groups([account], include_authorized_operations=True, **ANSWERS)[account]
            if AclOperation.READ not in _operations(group):
                found.append(failed(f"group {account}", "the account may not join its own group", RIGHTS))
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


def _clock(clients: Iterable[AdminClient], known: Mapping[str, Any]) -> list[Finding]:
    """Kafka does not tell the time; the newest stamp that it has put on a record cannot lie in what is to come."""
    partitions = [TopicPartition(name, p) for name in SERVICE_TOPICS if name in known for p in known[name].partitions]
    newest_of = {partition: OffsetSpec.max_timestamp() for partition in partitions}  # type: ignore[no-untyped-call]
    newest, unseen = -1.0, None
    for client in clients if partitions else ():
        for future in client.list_offsets(newest_of, **ANSWERS).values():
            try:
                newest = max(newest, future.result(SECONDS).timestamp / 1000)
            except (KafkaException, TimeoutError) as failure:
                unseen = failure
    if newest <= 0 and unseen is not None:
        return [warning("clock kafka", _unseen(unseen), "look with an account that may see the services' topics")]
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
