"""A service's own connection to Kafka, on the mock: what cannot be parsed, and what has got stuck."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.consumer import Kafka
from shared.kafka.topics import TOPICS, Partition
from shared.kafka.unparsed import NO_HEADERS
from tests.stand_ins.kafka_clients import producer, spoiled


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
    pass_over: Callable[[Mapping[Partition, int]], Awaitable[None]] = ignore,
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
    passed: dict[Partition, int] = {}

    async def handle(records: list[Record]) -> None:
        for record in records:
            heard.put_nowait(record)

    async def pass_over(places: Mapping[Partition, int]) -> None:
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
                monkeypatch.setattr("shared.kafka.consumer.STUCK_SECONDS", 0.1)
                await asyncio.sleep(0.2)  # no poll can come meanwhile
                assert str(kafka.trouble()).startswith("the consume loop has not polled for")
        finally:
            go_on.set()
