"""Three brokers, of which one and then two die under load: nothing is lost, nothing happens twice, all goes on."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.kafka.node import QUIET_CLIENT, KafkaNode, Seat, free_port, new_cluster_id
from shared.kafka.cluster import Cluster
from shared.kafka.connection import Kafka
from shared.kafka.topics import TOPICS, create_topics
from tests.failures.processes import SERVICES, Processes, processes
from tests.failures.rounds import rounds
from tests.failures.test_kills import Load, all_is_done_once, supervised
from tests.stand_ins.kafka_clients import consumer

NODES: Final = 3


class Brokers:
    """Brokers that each have a copy of everything; a record counts as written when two have it."""

    def __init__(self, home: Path) -> None:
        ports: set[int] = set()
        while len(ports) < 2 * NODES:
            ports.add(free_port())
        own, controllers = list(ports)[:NODES], tuple(ports)[NODES:]
        cluster = new_cluster_id()
        self.nodes = [
            KafkaNode(home / f"kafka-{number}", port=port, seat=Seat(number, controllers, cluster))
            for number, port in enumerate(own, start=1)
        ]

    async def start(self, *nodes: KafkaNode) -> None:
        """Start nodes together: alone none of them answers."""
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in nodes or self.nodes))

    async def stop(self) -> None:
        """End all; what they hold is not needed any more."""
        for node in self.nodes:
            node.kill()

    @property
    def address(self) -> str:
        """All of them, so that a client that comes finds one that lives."""
        return ",".join(node.address for node in self.nodes)

    async def leader(self, topic: str, partition: int) -> KafkaNode:
        """Who has the last word on a partition."""
        known = await asyncio.to_thread(self._client().list_topics, topic, timeout=10)
        return self.nodes[known.topics[topic].partitions[partition].leader - 1]

    async def whole(self) -> bool:
        """Whether every node has all that was written."""
        try:
            known = await asyncio.to_thread(self._client().list_topics, timeout=1)
        except KafkaException:
            return False
        return all(len(p.isrs) == NODES for topic in known.topics.values() for p in topic.partitions.values())

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, **QUIET_CLIENT})


@asynccontextmanager
async def cluster(home: Path) -> AsyncIterator[Brokers]:
    """Three brokers with our topics."""
    brokers = Brokers(home)
    try:
        await brokers.start()
        await create_topics(Cluster(brokers.address), replication=NODES)
        yield brokers
    finally:
        await brokers.stop()


async def die_and_return(running: Processes, brokers: Brokers, victims: Sequence[KafkaNode]) -> None:
    """kill -9, a while without them, and back on their data until they have all that they missed."""
    for node in victims:
        node.kill()
    await asyncio.sleep(2)
    for service in SERVICES:
        assert (await running.call(service, "GET", "/health/live"))[0] == 200
    await brokers.start(*victims)
    await running.until(brokers.whole, "the brokers have caught up", 60)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", rounds(50))
async def test_the_leader_dies_and_then_two_of_three_brokers(databases: dict[str, str], home: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with (
        cluster(home) as brokers,
        processes(databases, brokers.address, home) as running,
        supervised(running),
    ):
        load = Load(running)
        await asyncio.sleep(dice.uniform(0.5, 1.5))
        topic = dice.choice(TOPICS)
        leader = await brokers.leader(topic.name, dice.randrange(topic.partitions))
        await die_and_return(running, brokers, [leader])
        await asyncio.sleep(dice.uniform(0.5, 1.5))
        await die_and_return(running, brokers, dice.sample(brokers.nodes, 2))
        await all_is_done_once(running, await load.end())


@contextmanager
def frozen(nodes: Sequence[KafkaNode]) -> Iterator[None]:
    """They live, and do nothing."""
    pids = [pid for node in nodes if (pid := node._server.pid) is not None]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(200)
async def test_what_only_the_leader_has_is_no_event_that_was_published(home: Path) -> None:
    """With `acks=1` such a record counts as written, and dies with the leader: our relay must not work like that."""
    topic = TOPICS[0].name

    async def unused(*_: Any) -> None:
        raise AssertionError("nobody listens")

    async with cluster(home) as brokers:
        kafka = Kafka(Cluster(brokers.address), "booking", {topic: frozenset()}, unused, unused, 0)
        ours = kafka.producer
        hasty = AIOKafkaProducer(bootstrap_servers=brokers.address, acks=1)
        async with ours, hasty, asyncio.timeout(150):
            for client in (ours, hasty):
                await client.send_and_wait(topic, b"before", partition=0)
            leader = await brokers.leader(topic, 0)
            with frozen([node for node in brokers.nodes if node is not leader]):
                await hasty.send_and_wait(topic, b"what they had asked for already", partition=0)
                await asyncio.sleep(1)  # no follower's request waits that long: half a second
                await hasty.send_and_wait(topic, b"hasty", partition=0)
                published = asyncio.ensure_future(await ours.send(topic, b"ours", partition=0))
                done, _ = await asyncio.wait({published}, timeout=1)
                assert not done
                leader.kill()
            while await brokers.leader(topic, 0) is leader:  # noqa: ASYNC110 - Kafka rings no bell
                await asyncio.sleep(0.1)
            place = await published
            await brokers.start(leader)
            async with consumer(brokers.address) as reader:
                partition = TopicPartition(topic, 0)
                reader.assign([partition])
                await reader.seek_to_beginning()
                found = [(await reader.getone()).value for _ in range(place.offset + 1)]
            await kafka.stop()
    assert b"ours" in found
    assert b"hasty" not in found, "the test cannot tell"
