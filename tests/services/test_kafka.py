"""The Kafkas that everything else is tried on: the real node, killed and started again, and the mock in the process."""

import asyncio
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from deploy.local.kafka.node import KafkaNode
from deploy.local.mock_kafka import PARTITIONS, MockKafka
from deploy.local.server_process import CannotStart
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.consumer import Kafka, Place
from shared.kafka.topics import TOPICS
from shared.kafka.unparsed import NO_HEADERS
from tests.kafka_clients import consumer, producer, spoiled

from_the_start = partial(consumer, auto_offset_reset="earliest")


async def _create_topic(address: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def test_a_group_reads_what_was_sent_and_goes_on_after_its_commit(kafka: str) -> None:
    topic, group = f"test.{uuid.uuid4()}", str(uuid.uuid4())
    await _create_topic(kafka, topic)
    async with producer(kafka) as writer:
        await writer.send_and_wait(topic, b"first")
        await writer.send_and_wait(topic, b"second")
    async with from_the_start(kafka, topic, group_id=group) as reader:
        assert (await reader.getone()).value == b"first"
        await reader.commit()
    async with from_the_start(kafka, topic, group_id=group) as reader:
        assert (await reader.getone()).value == b"second"


async def test_a_killed_node_comes_back_on_its_port_with_every_acknowledged_message(tmp_path: Path) -> None:
    node = KafkaNode(tmp_path / "kafka")
    try:
        address = await asyncio.to_thread(node.start)
        await _create_topic(address, "kept")
        async with producer(address) as writer:
            await writer.send_and_wait("kept", b"acknowledged")
        await asyncio.to_thread(node.kill)
        assert not node.running
        assert await asyncio.to_thread(node.start) == address
        async with from_the_start(address, "kept") as reader:
            assert (await asyncio.wait_for(reader.getone(), 30)).value == b"acknowledged"
    finally:
        await asyncio.to_thread(node.stop)


def test_without_java_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart) as refused:
        KafkaNode(tmp_path / "kafka").start()
    assert "install Java 17" in _one_line(refused.value)


def test_without_maven_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart) as refused:
        KafkaNode(tmp_path / "kafka", jars=tmp_path / "jars").start()
    assert "install Maven" in _one_line(refused.value)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_taken_port_is_named_in_one_line(tmp_path: Path, taken_port: int) -> None:
    command = [sys.executable, "-m", "deploy.local.kafka", "--port", str(taken_port), "--home", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"kafka: port {taken_port} on 127.0.0.1 is taken: end what listens there or choose another port"
    )


async def test_the_mock_keeps_a_groups_place_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with MockKafka() as mock:
        mock.create_topics(["booking.events", "billing.events"])
        async with producer(mock.address) as writer:
            sent = await writer.send_and_wait("booking.events", b"first", key=b"course")
            await writer.send_and_wait("booking.events", b"second", key=b"course")
        async with from_the_start(mock.address, "booking.events", group_id="billing") as reader:
            assert len(reader.partitions_for_topic("booking.events")) == PARTITIONS
            assert (await reader.getone()).value == b"first"
            await reader.commit()
        async with from_the_start(mock.address, "booking.events", group_id="billing") as reader:
            assert await reader.committed(TopicPartition("booking.events", sent.partition)) == 1
            assert (await reader.getone()).value == b"second"
    assert capfd.readouterr().err == ""


async def test_the_mock_drops_the_oldest_messages_of_a_partition_beyond_5_megabytes() -> None:
    place = TopicPartition("clinic.requests", 0)
    with MockKafka() as mock:
        mock.create_topics([place.topic])
        async with producer(mock.address) as writer, from_the_start(mock.address) as reader:
            for _ in range(600):
                await writer.send_and_wait(place.topic, bytes(10_000), partition=place.partition)
            reader.assign([place])
            reader.seek(place, 0)
            oldest = (await reader.getone()).offset
            assert 80 <= oldest < 100
            assert await reader.beginning_offsets([place]) == {place: oldest}
            assert await reader.end_offsets([place]) == {place: 600}


def _one_line(error: Exception) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    """A Kafka with our topics."""
    with MockKafka() as mock:
        mock.create_topics(t.name for t in TOPICS)
        yield mock


async def ignore(_: object) -> None:
    """What comes."""


@asynccontextmanager
async def listening(
    mock: MockKafka,
    handle: Callable[[list[Record]], Awaitable[None]] = ignore,
    pass_over: Callable[[Mapping[Place, int]], Awaitable[None]] = ignore,
) -> AsyncIterator[Kafka]:
    """A service's connection, started, that listens to what clinics ask for."""
    topics: Mapping[str, frozenset[str]] = {"clinic.requests": frozenset()}
    kafka = Kafka(Cluster(mock.address), "booking", topics, handle, pass_over, 0, PARTITIONS)
    await kafka.start()
    try:
        yield kafka
    finally:
        await kafka.stop_listening()
        await kafka.stop()


async def test_what_cannot_be_parsed_takes_nothing_of_other_partitions_with_it(mock: MockKafka) -> None:
    heard: asyncio.Queue[Record] = asyncio.Queue()
    passed: dict[Place, int] = {}

    async def handle(records: list[Record]) -> None:
        for record in records:
            heard.put_nowait(record)

    async def pass_over(places: Mapping[Place, int]) -> None:
        passed.update(places)

    topic = "clinic.requests"
    async with producer(mock.address) as client:
        for partition in (0, 2):
            for n in range(5):
                await client.send_and_wait(topic, b"%d" % n, partition=partition)
        records = [(b"sound", [("sound", b"")]), (b"bad", [("spoiled!", b"")]), (b"sound again", [])]
        await (await client.send_batch(spoiled(client, b"key", records), topic, partition=1))
    async with listening(mock, handle, pass_over), asyncio.timeout(30):
        found = [await heard.get() for _ in range(13)]
    in_order = {partition: [r for r in found if r.partition == partition] for partition in range(3)}
    assert [r.value for r in in_order[0]] == [r.value for r in in_order[2]] == [b"%d" % n for n in range(5)]
    assert [(r.offset, r.value, r.headers) for r in in_order[1]] == [
        (0, b"sound", (("sound", b""),)),
        (1, b"bad", NO_HEADERS),
        (2, b"sound again", ()),
    ]
    assert not passed, "nothing but what was handled counts as heard"


def test_a_connection_that_has_just_been_lost_is_told_as_a_kafka_error(kafka: str) -> None:
    async def write_to_one() -> None:
        client = AIOKafkaClient(bootstrap_servers=kafka)
        await client.bootstrap()
        try:
            lost = await client._get_conn(client.get_random_node())
            lost._writer.transport.abort()
            await asyncio.sleep(0)  # uvloop has let go of it, and its reader has not run yet
            with pytest.raises(KafkaConnectionError):
                await lost.send(MetadataRequest([]))
            assert await client.force_metadata_update()
            assert not client._sync_task.done()
        finally:
            await client.close()

    uvloop.run(write_to_one())


@pytest.mark.parametrize(
    ("ends", "what"),
    [
        (lambda kafka: kafka._offsets._client._sync_task, "a client's metadata"),
        (lambda kafka: kafka._consumer()._client._sync_task, "a client's metadata"),
        (lambda kafka: kafka._consumer()._fetcher._fetch_task, "the consumer's fetching"),
        (lambda kafka: kafka.producer._sender.sender_task, "the producer's sending"),
    ],
)
async def test_a_task_inside_aiokafka_that_has_ended_is_told(
    mock: MockKafka, ends: Callable[[Kafka], asyncio.Task[None]], what: str
) -> None:
    async with listening(mock) as kafka:
        assert kafka.trouble() is None
        task = ends(kafka)
        task.cancel()
        await asyncio.wait({task})
        assert kafka.trouble() == f"{what} has ended"


async def test_the_first_question_for_the_ends_is_answered_at_once(
    mock: MockKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, once = [], Fetcher._proc_offset_requests

    async def counted(self: Fetcher, wanted: Mapping[TopicPartition, int]) -> Any:
        tries.append(wanted)
        return await once(self, wanted)

    async with listening(mock) as kafka:
        monkeypatch.setattr(Fetcher, "_proc_offset_requests", counted)
        assert await kafka.ends() == {("clinic.requests", partition): 0 for partition in range(PARTITIONS)}
        assert len(tries) == 1


async def test_a_consume_loop_that_polls_no_more_is_told(mock: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    in_hand, go_on = asyncio.Event(), asyncio.Event()

    async def handle(records: list[Record]) -> None:
        in_hand.set()
        await go_on.wait()

    async with listening(mock, handle) as kafka:
        try:
            async with asyncio.timeout(30), producer(mock.address) as client:
                await client.send_and_wait("clinic.requests", b"a message")
                await in_hand.wait()
                assert kafka.trouble() is None
                monkeypatch.setattr("shared.kafka.STUCK_SECONDS", 0.1)
                await asyncio.sleep(0.2)  # no poll can come meanwhile
                assert str(kafka.trouble()).startswith("the consume loop has not polled for")
        finally:
            go_on.set()
