"""What the floor's three processes share: consume a batch, one transaction, commit; and the relay beside it."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import murmur2

Heard = tuple[str, str, dict[str, Any]]
"""Id, type and data of a message."""

Told = tuple[str, str, str, str, dict[str, Any]]
"""Event id, topic, type, key and data of an event."""

Handle = Callable[[asyncpg.Connection, list[Heard]], Awaitable[list[Told]]]


def event_id(cause: str, number: int) -> str:
    """The same whenever it is done again."""
    return str(uuid5(NAMESPACE_URL, f"{cause}/{number}"))


@lru_cache(100_000)
def partition_of(key: bytes) -> int:
    """As Java's default partitioner, of six."""
    return (murmur2(key) & 0x7FFFFFFF) % 6


def main(service: str, topics: dict[str, set[bytes]], handle: Handle) -> None:
    """Run one of the three processes until SIGTERM."""
    uvloop.run(_main(service, topics, handle))


async def _main(service: str, topics: dict[str, set[bytes]], handle: Handle) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = os.environ["CHAIRTIME_KAFKA"]
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=servers,
        group_id=f"floor-{service}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    url = os.environ[f"CHAIRTIME_{service.upper()}_DATABASE"]
    worker, relay = await asyncpg.connect(url), await asyncpg.connect(url)
    await consumer.start()
    await producer.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    bell = asyncio.Event()
    tasks = [
        asyncio.create_task(_listen(consumer, worker, set().union(*topics.values()), handle, bell)),
        asyncio.create_task(_relay(producer, relay, bell)),
        asyncio.create_task(stop.wait()),
    ]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await consumer.stop()
    await producer.stop()
    for task in done:
        task.result()


async def _listen(
    consumer: AIOKafkaConsumer, connection: asyncpg.Connection, wanted: set[bytes], handle: Handle, bell: asyncio.Event
) -> None:
    while True:
        batch = await consumer.getmany(timeout_ms=1000, max_records=1000)
        heard: dict[str, Heard] = {}
        for records in batch.values():
            for record in records:
                headers = dict(record.headers)
                if headers["ce_type"] in wanted:
                    id = headers["ce_id"].decode()
                    heard[id] = (id, headers["ce_type"].decode(), orjson.loads(record.value))
        if heard:
            async with connection.transaction():
                new = await connection.fetch(
                    "INSERT INTO inbox (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id", list(heard)
                )
                told = await handle(connection, [heard[row[0]] for row in new])
                if told:
                    await connection.execute(
                        """INSERT INTO outbox (event_id, topic, type, key, value)
                           SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])""",
                        [t[0] for t in told],
                        [t[1] for t in told],
                        [t[2] for t in told],
                        [t[3].encode() for t in told],
                        [orjson.dumps(t[4]) for t in told],
                    )
            bell.set()
        if batch:
            await consumer.commit()


async def _relay(producer: AIOKafkaProducer, connection: asyncpg.Connection, bell: asyncio.Event) -> None:
    await connection.execute("SELECT pg_advisory_lock(1)")
    while True:
        rows = await connection.fetch(
            """SELECT id, topic, key, value, event_id, type FROM outbox
               WHERE published_at IS NULL ORDER BY id LIMIT 1000"""
        )
        if not rows:
            await bell.wait()
            bell.clear()
            continue
        now = datetime.now(UTC).isoformat().encode()
        batches: dict[tuple[str, int], Any] = {}
        sent = []
        for _, topic, key, value, id, type_name in rows:
            headers = [
                ("ce_specversion", b"1.0"),
                ("ce_id", id.encode()),
                ("ce_type", type_name.encode()),
                ("ce_source", b"/floor"),
                ("ce_subject", key),
                ("ce_time", now),
                ("content-type", b"application/json"),
            ]
            place = (topic, partition_of(key))
            batch = batches.get(place)
            if batch is None or batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                if batch is not None:
                    sent.append(await producer.send_batch(batch, topic, partition=place[1]))
                batch = batches[place] = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        for (topic, partition), batch in batches.items():
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)
        await connection.execute(
            "UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])", [row[0] for row in rows]
        )
