"""A lost connection on uvloop."""

import asyncio

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest


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
