"""The real node: killed and started again, and what it says where it cannot start."""

import asyncio
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.kafka.node import KafkaNode
from deploy.local.server_process import CannotStart
from tests.stand_ins.kafka_clients import from_the_start, producer


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


def _one_line(error: Exception) -> str:
    assert "\n" not in str(error)
    return str(error)
