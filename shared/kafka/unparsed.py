"""Records that aiokafka's parser raises on, such as one with a header whose name is not UTF-8.

Its consumer can neither read nor step over them: they would stand in their partition's way for ever. librdkafka reads
them; only their headers cannot be had.
"""

from typing import Final

from confluent_kafka import Consumer, Message, TopicPartition

from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.library_insides import headers_of

SOME: Final = 500
"""Records read at once; a record that cannot be parsed spoils the whole batch in which its publisher sent it."""

SECONDS: Final = 2

NO_HEADERS: Final = (("", None),)
"""Headers of a record whose headers cannot be had: unreadable for every service."""


def read_from(cluster: Cluster, group: str, topic: str, partition: int, offset: int) -> list[Record]:
    """Records of a partition from an offset on, by librdkafka; none where no broker answers. Blocks for 2 seconds.

    Args:
        group: a name that the account may use; the group is neither joined nor moved.
    """
    consumer = Consumer({**cluster.librdkafka, "group.id": group, "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        return [_record(message) for message in consumer.consume(SOME, timeout=SECONDS) if not message.error()]
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    headers = headers_of(message)
    return Record(
        str(message.topic()),
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        NO_HEADERS if headers is None else headers,
    )
