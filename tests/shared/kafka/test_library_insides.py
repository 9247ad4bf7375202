"""What our Kafka rooms count on inside aiokafka, FastStream and confluent-kafka is still there, and still needed."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from shared.kafka.cluster import Cluster
from shared.kafka.library_insides import (
    LOG,
    TRIED_WITH,
    UNPARSED,
    NodeConnection,
    RawBatches,
    consume_loop_ended,
    ended_inside,
    learn_topics,
    poll_by,
)
from shared.kafka.unparsed import NO_HEADERS, read_from
from tests.stand_ins.kafka_clients import consumer, from_the_start, producer, spoiled

TOPIC = "clinic.requests"
FIRST = TopicPartition(TOPIC, 0)


def test_the_libraries_are_those_that_it_was_tried_with() -> None:
    installed = {name: version(name) for name in TRIED_WITH}
    assert installed == TRIED_WITH, (
        "a library was changed: go through each part of shared/kafka/library_insides.py with its new source, and the"
        " issue that would make the part unnecessary; then write the new version into TRIED_WITH"
    )


@pytest.mark.parametrize(
    ("kind", "raised"), [(NodeConnection, KafkaConnectionError), (AIOKafkaConnection, RuntimeError)]
)
def test_a_connection_that_has_just_been_lost_is_told_as_a_kafka_error(
    kafka: str, monkeypatch: pytest.MonkeyPatch, kind: type[AIOKafkaConnection], raised: type[Exception]
) -> None:
    """aiokafka's own lets uvloop's error through; where it does so no longer, ours has no purpose any more."""

    async def write_to_one() -> None:
        client = AIOKafkaClient(bootstrap_servers=kafka)
        await client.bootstrap()
        try:
            lost = await client._get_conn(client.get_random_node())
            assert type(lost) is kind
            lost._writer.transport.abort()
            await asyncio.sleep(0)  # uvloop has let go of it, and its reader has not run yet
            with pytest.raises(raised):
                await lost.send(MetadataRequest([]))
            assert await client.force_metadata_update() or raised is RuntimeError
            assert not client._sync_task.done()
        finally:
            await client.close()

    monkeypatch.setattr("aiokafka.conn.AIOKafkaConnection", kind)
    uvloop.run(write_to_one())


async def test_every_client_connects_by_our_connection(mock: MockKafka) -> None:
    async with consumer(mock.address, TOPIC) as reader, producer(mock.address) as writer:
        connections = [*reader._client._conns.values(), *writer.client._conns.values()]
        assert len(connections) >= 2
        assert all(type(connection) is NodeConnection for connection in connections)


async def test_a_client_knows_a_topic_that_it_is_told_of_and_no_other(mock: MockKafka) -> None:
    async with consumer(mock.address) as reader:
        assert reader.partitions_for_topic(TOPIC) is None
        await learn_topics(reader, (TOPIC,))
        assert reader.partitions_for_topic(TOPIC) == set(range(PARTITIONS))


@pytest.mark.parametrize(
    ("task_of", "what"),
    [
        (lambda reader, offsets, writer: reader._client._sync_task, "a client's metadata"),
        (lambda reader, offsets, writer: offsets._client._sync_task, "a client's metadata"),
        (lambda reader, offsets, writer: writer.client._sync_task, "a client's metadata"),
        (lambda reader, offsets, writer: reader._fetcher._fetch_task, "the consumer's fetching"),
        (lambda reader, offsets, writer: reader._coordinator._coordination_task, "the group's coordination"),
        (lambda reader, offsets, writer: writer._sender.sender_task, "the producer's sending"),
    ],
)
async def test_the_end_of_each_task_that_must_run_is_seen(
    mock: MockKafka,
    task_of: Callable[[AIOKafkaConsumer, AIOKafkaConsumer, AIOKafkaProducer], asyncio.Task[None]],
    what: str,
) -> None:
    async with (
        consumer(mock.address, group_id="booking") as reader,
        consumer(mock.address) as offsets,
        producer(mock.address) as writer,
    ):
        reader.assign([FIRST])
        assert ended_inside(reader, offsets, writer) is None
        task = task_of(reader, offsets, writer)
        task.cancel()
        await asyncio.wait({task})
        assert ended_inside(reader, offsets, writer) == what


async def test_what_cannot_be_parsed_raises_again_and_again_and_is_read_by_the_other_client(mock: MockKafka) -> None:
    async with producer(mock.address) as writer:
        await (await writer.send_batch(spoiled(writer, b"key", [(b"bad", [("spoiled!", b"")])]), TOPIC, partition=0))
    async with from_the_start(mock.address) as reader:
        reader.assign([FIRST])
        for _ in range(2):
            with pytest.raises(UNPARSED):
                await reader.getmany(FIRST, timeout_ms=5000)
            reader.seek(FIRST, 0)
    (read,) = await asyncio.to_thread(read_from, Cluster(mock.address), "booking", TOPIC, 0, 0)
    assert (read.value, read.headers) == (b"bad", NO_HEADERS)


async def test_faststream_polls_by_our_function_and_acknowledges_by_our_consumer(mock: MockKafka) -> None:
    handled: list[str] = []
    sought: asyncio.Queue[tuple[TopicPartition, int]] = asyncio.Queue()
    polls: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def next_batch(polled: AIOKafkaConsumer) -> tuple[Any, ...]:
        assert polled is subscriber.consumer
        return await polls.get()

    async def on_batch(records: tuple[Any, ...]) -> None:
        heard.put_nowait(records)
        if records[0].value == b"fails":
            raise ValueError

    batches = RawBatches(lambda: handled.append("handled"), lambda *at: sought.put_nowait(at))
    broker = KafkaBroker(
        mock.address, consumer_only=True, allow_auto_create_topics=False, apply_types=False, logger=LOG
    )
    subscriber = broker.subscriber(
        TOPIC,
        group_id="booking",
        batch=True,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        parser=batches.parse,
        decoder=batches.decode,
    )
    poll_by(subscriber, next_batch)
    subscriber(on_batch)
    async with producer(mock.address) as writer:
        for value in (b"is handled", b"fails", b"fails with it"):
            await writer.send_and_wait(TOPIC, value, partition=0)
    async with from_the_start(mock.address) as reader:
        reader.assign([FIRST])
        first, *failing = [await reader.getone() for _ in range(3)]
    await broker.start()
    try:
        async with asyncio.timeout(30):
            for batch in ((first,), tuple(failing), ()):
                polls.put_nowait(batch)
            assert [await heard.get(), await heard.get()] == [(first,), tuple(failing)]
            assert await sought.get() == (FIRST, 1)
        assert sought.empty()
        assert handled == ["handled"]
        assert not consume_loop_ended(subscriber)
        (loop,) = subscriber.tasks
        loop.cancel()
        await asyncio.wait({loop})
        assert consume_loop_ended(subscriber)
    finally:
        await broker.stop()
