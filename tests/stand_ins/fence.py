"""Kafka as far as the fence looks at it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

from aiokafka.errors import KafkaConnectionError

from shared.kafka.connection import Kafka
from shared.kafka.topics import Partition
from shared.worker.fence import Fence
from tests.stand_ins.road import Road


class Topics:
    """Kafka as far as the fence looks at it: ends and beginnings of partitions, counted looks."""

    def __init__(self, ends: Mapping[Partition, int], starts: Mapping[Partition, int] | None = None) -> None:
        self.end = dict(ends)
        self.start = dict(starts or {})
        self.away = 0
        self._looks = asyncio.Semaphore(0)

    async def ends(self) -> dict[Partition, int]:
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("away")
        return dict(self.end)

    async def starts(self, places: Iterable[Partition]) -> dict[Partition, int]:
        self._looks.release()
        return {place: self.start.get(place, 0) for place in places}

    async def looked_at(self, times: int) -> None:
        """Wait until the fence has looked so many times and was not satisfied."""
        async with asyncio.timeout(10):
            for _ in range(times):
                await self._looks.acquire()


def fence(booking: Road, topics: Topics) -> Fence:
    return Fence(booking.database, cast(Kafka, topics), booking.clock)
