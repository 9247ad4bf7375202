"""A service's own connection to Kafka, on the mock: what cannot be parsed, and what has got stuck."""

import asyncio
from collections.abc import Mapping

import pytest

from deploy.local.mock_kafka import MockKafka
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.topics import Partition
from shared.kafka.unparsed import NO_HEADERS, read_from
from tests.stand_ins.kafka_clients import listening, producer, spoiled

TOPIC = "clinic.requests"


async def test_what_cannot_be_parsed_takes_nothing_of_other_partitions_with_it(mock: MockKafka) -> None:
    heard: asyncio.Queue[Record] = asyncio.Queue()
    passed: dict[Partition, int] = {}

    async def handle(records: list[Record]) -> None:
        for record in records:
            heard.put_nowait(record)

    async def pass_over(places: Mapping[Partition, int]) -> None:
        passed.update(places)

    async with producer(mock.address) as client:
        for partition in (0, 2):
            for n in range(5):
                await client.send_and_wait(TOPIC, b"%d" % n, partition=partition)
        records = [(b"sound", [("sound", b"")]), (b"bad", [("spoiled!", b"")]), (b"sound again", [])]
        await (await client.send_batch(spoiled(client, b"key", records), TOPIC, partition=1))
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


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("at", [(0,), (1,), (2,), (7,), (499,), (0, 1, 2), (2, 3, 498)], ids=str)
async def test_what_cannot_be_parsed_is_read_at_whatever_place_of_a_batch_it_stands(
    mock: MockKafka, at: tuple[int, ...], gzipped: bool
) -> None:
    """Also far behind sound ones: an interpreter that has made a call faster by then tells of its failure later."""
    records = [(b"%d" % n, [("spoiled!" if n in at else "sound", b"")]) for n in range(500)]
    async with producer(mock.address) as client:
        await (await client.send_batch(spoiled(client, b"key", records, gzipped), TOPIC, partition=0))
    found = await asyncio.to_thread(read_from, Cluster(mock.address), "booking", TOPIC, 0, 0)
    assert [(int(r.value or b""), r.headers) for r in found] == [
        (n, NO_HEADERS if n in at else (("sound", b""),)) for n in range(500)
    ]


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
