"""The mock Kafka in the process, as far as it is like the real one."""

import pytest
from aiokafka import TopicPartition

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from tests.stand_ins.kafka_clients import from_the_start, producer


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
