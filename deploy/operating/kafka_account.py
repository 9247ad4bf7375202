"""Kafka as one account meets it from outside: whether it answers, lets the account in, and in words why not."""

import time
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.operating.services import choice
from shared.kafka.cluster import Cluster

SECONDS: Final = 10
"""How long Kafka may take for one answer."""

_DENIED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)


COMPOSE: Final = "127.0.0.1:9094"
"""Where docker-compose.yml publishes Kafka, unless .env says otherwise."""


def account_in(secrets: Path, account: str) -> Cluster | None:
    """Compose's Kafka as one of its accounts, where the account's password lies in the secrets of a deployment."""
    file = secrets / f"kafka_{account}_password"
    servers = choice("KAFKA_OUTSIDE", COMPOSE, secrets.parent)
    return Cluster(servers, account, file.read_text()) if file.is_file() else None


class KafkaTrouble(Exception):
    """Kafka does not do what was asked; the text says where and why, in one line.

    Attributes:
        denied: it answers, and does not let this account do it.
    """

    def __init__(self, cluster: Cluster, error: KafkaError) -> None:
        self.denied = error.code() in _DENIED
        account = f" as {cluster.user}" if cluster.user else ""
        super().__init__(f"Kafka at {cluster.servers}{account}: {_reason(error)}")


def admin(cluster: Cluster) -> tuple[AdminClient, Any]:
    """A client that Kafka has let in, and what Kafka tells it of brokers and topics.

    Raises:
        KafkaTrouble: no broker answers, or the account is not accepted; at once where that is plain.
    """
    seen: list[KafkaError] = []
    settings: dict[str, Any] = {**cluster.librdkafka, "error_cb": seen.append, "log_level": 0}
    client = AdminClient(settings)
    give_up_at = time.monotonic() + SECONDS
    while True:
        try:
            return client, client.list_topics(timeout=0.5)
        except KafkaException as failure:
            client.poll(0)
            plain = next((e for e in seen if e.code() in (*_DENIED, KafkaError._ALL_BROKERS_DOWN)), None)
            if plain is not None or time.monotonic() > give_up_at:
                raise KafkaTrouble(cluster, plain or failure.args[0]) from None


def trouble(cluster: Cluster, failure: KafkaException) -> KafkaTrouble:
    """What one of librdkafka's exceptions means to whoever asked."""
    error: Any = failure.args[0]
    return KafkaTrouble(cluster, error)


def _reason(error: KafkaError) -> str:
    match error.code():
        case KafkaError._AUTHENTICATION | KafkaError.SASL_AUTHENTICATION_FAILED:
            return "the account or its password is not accepted"
        case KafkaError._ALL_BROKERS_DOWN | KafkaError._TRANSPORT | KafkaError._TIMED_OUT | KafkaError._MSG_TIMED_OUT:
            return "no broker answers"
        case _:
            return error.str()
