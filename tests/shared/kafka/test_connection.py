"""A service's own connection to Kafka, on the mock: what it asks, and what has ended inside it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from shared.kafka.connection import Kafka
from tests.stand_ins.kafka_clients import listening


@pytest.mark.parametrize(
    ("ends", "what"),
    [
        (lambda kafka: kafka._offsets._client._sync_task, "a client's metadata"),
        (lambda kafka: kafka.consumer.client._client._sync_task, "a client's metadata"),
        (lambda kafka: kafka.consumer.client._fetcher._fetch_task, "the consumer's fetching"),
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
