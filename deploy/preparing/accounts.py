"""Who may do what at Kafka: an account for each service and one for the clinic's systems, with what it needs alone.

The rights follow from the contract's topics and from those that each service listens to.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from deploy.preparing.heard import LISTENS
from shared.contract.topics import CLINIC_TOPICS, DEAD_LETTER_TOPICS, SERVICE_TOPICS
from shared.kafka.cluster import Cluster

CLINIC: Final = "clinic"
"""The account of whoever publishes a clinic's events; its consumer groups' names begin so, too."""

ACCOUNTS: Final = (*LISTENS, CLINIC)

ITERATIONS: Final = 8192
"""How dear it is to try a password against what Kafka keeps of it."""

SECONDS: Final = 20


def rights(account: str) -> frozenset[AclBinding]:
    """All that an account may do; to read or write a topic is also to see that it is there."""
    return frozenset(_clinic() if account == CLINIC else _service(account))


def grant(cluster: Cluster, passwords: Mapping[str, str]) -> tuple[int, int]:
    """Give each account its password and exactly its rights. Safe to call again; a new password replaces the old one.

    Args:
        cluster: a Kafka that has an authorizer, as its administrator.
        passwords: by account.

    Returns:
        How many rights were added and taken away.

    Raises:
        KafkaException: Kafka does not answer, or refuses.
    """
    admin = AdminClient({**cluster.librdkafka, "log_level": 0})
    mechanism = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    _all(
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(account, mechanism, word.encode()) for account, word in passwords.items()]
        )
    )
    wanted = {right for account in passwords for right in rights(account)}
    there = {right for account in passwords for right in admin.describe_acls(_of(account)).result(SECONDS)}
    if missing := list(wanted - there):
        _all(admin.create_acls(missing, request_timeout=SECONDS))
    if surplus := [_exactly(right) for right in there - wanted]:
        _all(admin.delete_acls(surplus, request_timeout=SECONDS))
    return len(missing), len(surplus)


def _service(account: str) -> Iterator[AclBinding]:
    for topic in (*LISTENS[account], f"{account}.events"):  # its own, to see whether its database was set back
        yield _right(account, AclOperation.READ, ResourceType.TOPIC, topic)
    for topic in (*SERVICE_TOPICS, *DEAD_LETTER_TOPICS):
        if topic.startswith(f"{account}."):
            yield _right(account, AclOperation.WRITE, ResourceType.TOPIC, topic)
    yield _right(account, AclOperation.READ, ResourceType.GROUP, account)


def _clinic() -> Iterator[AclBinding]:
    for topic in CLINIC_TOPICS:
        yield _right(CLINIC, AclOperation.WRITE, ResourceType.TOPIC, topic)
    for topic in SERVICE_TOPICS:
        yield _right(CLINIC, AclOperation.READ, ResourceType.TOPIC, topic)
    yield _right(CLINIC, AclOperation.READ, ResourceType.GROUP, CLINIC, ResourcePatternType.PREFIXED)


def _right(
    account: str,
    operation: AclOperation,
    kind: ResourceType,
    name: str,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{account}", "*", operation, AclPermissionType.ALLOW)


def _of(account: str) -> AclBindingFilter:
    """Every right of an account."""
    anything: Any = None  # which its type hints do not allow
    kind, pattern, name, host = ResourceType.ANY, ResourcePatternType.ANY, anything, anything
    return AclBindingFilter(kind, name, pattern, f"User:{account}", host, AclOperation.ANY, AclPermissionType.ANY)


def _exactly(right: AclBinding) -> AclBindingFilter:
    resource = (right.restype, right.name, right.resource_pattern_type)
    return AclBindingFilter(*resource, right.principal, right.host, right.operation, right.permission_type)


def _all(promised: Mapping[Any, Any]) -> None:
    for future in promised.values():
        future.result(SECONDS)
