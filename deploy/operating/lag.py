"""How far each service's consumer group stands behind the ends of its topics, as Kafka tells it."""

from contextlib import closing
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from deploy.operating.kafka_account import SECONDS, admin, trouble
from deploy.operating.services import ServiceName
from deploy.preparing.heard import LISTENS
from shared.kafka.cluster import Cluster


class Lag(NamedTuple):
    """One partition as a service's group has read it.

    Attributes:
        committed: the group's offset; None where it has committed nothing yet.
        end: the offset after the partition's last record.
        lag: records between them.
    """

    service: ServiceName
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


def lag_of(cluster: Cluster, service: ServiceName) -> list[Lag]:
    """Every partition of a service's topics. It joins no group, so nobody is disturbed.

    Raises:
        KafkaTrouble: no broker answers, or the account may not see the group.
    """
    _, known = admin(cluster)
    partitions = [
        TopicPartition(topic, partition)
        for topic in LISTENS[service]
        if topic in known.topics
        for partition in sorted(known.topics[topic].partitions)
    ]
    settings = {"group.id": service, "enable.auto.commit": False, "log_level": 0}
    with closing(Consumer({**cluster.librdkafka, **settings})) as consumer:
        try:
            return [_lag(service, partition, consumer) for partition in consumer.committed(partitions, timeout=SECONDS)]
        except KafkaException as failure:
            raise trouble(cluster, failure) from None


def _lag(service: ServiceName, partition: TopicPartition, consumer: Consumer) -> Lag:
    if partition.error is not None:
        raise KafkaException(partition.error)
    start, end = consumer.get_watermark_offsets(partition, timeout=SECONDS)
    committed = None if partition.offset == OFFSET_INVALID else partition.offset
    lag = end - max(start, committed or 0)
    return Lag(service, partition.topic, partition.partition, committed, end, max(lag, 0))
