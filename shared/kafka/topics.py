"""Which topics there are, and how they are made."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.contract.topics import CLINIC_TOPICS, DEAD_LETTER_TOPICS, ERASABLE, SERVICE_TOPICS
from shared.kafka.cluster import Cluster

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a record that our services may write; other topics take what Kafka takes by default, half of it."""

Partition = tuple[str, int]
"""A topic, and the number of one of its partitions."""

START_SECONDS: Final = 20
"""How long a start waits for a broker."""


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is made. Kafka stamps each record itself, so that deadlines need not trust a publisher's clock."""

    name: str
    retention: timedelta | None
    partitions: int = 6

    @property
    def configs(self) -> dict[str, str]:
        """Kafka's own settings for it."""
        kept = (
            {"cleanup.policy": "compact"}
            if self.retention is None
            else {"cleanup.policy": "delete", "retention.ms": str(int(self.retention.total_seconds() * 1000))}
        )
        if self.name in DEAD_LETTER_TOPICS:  # the largest message of another topic, and why it had no effect
            kept |= {"max.message.bytes": str(LARGEST)}
        return kept | {"message.timestamp.type": "LogAppendTime"}


TOPICS: Final = tuple(
    Topic(name, None if name in ERASABLE else timedelta(days=30))
    for name in (*CLINIC_TOPICS, *SERVICE_TOPICS, *DEAD_LETTER_TOPICS)
)


async def create_topics(cluster: Cluster, replication: int = 1) -> list[str]:
    """Create the topics that are missing; returns their names. Existing ones are left as they are."""
    admin = AIOKafkaAdminClient(**cluster.aiokafka)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in existing]
        if missing:
            answer = await admin.create_topics(
                [NewTopic(t.name, t.partitions, replication, topic_configs=t.configs) for t in missing]
            )
            for _, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)
        await _settled(admin)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def _settled(admin: AIOKafkaAdminClient) -> None:
    """Wait until the broker tells of every topic: who subscribes before would not get what it cannot see."""
    names = [topic.name for topic in TOPICS]
    async with asyncio.timeout(START_SECONDS):
        while True:
            told = await admin.describe_topics(names)
            if all(
                not topic["error_code"] and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
                for topic in told
            ):
                return
            await asyncio.sleep(0.05)
