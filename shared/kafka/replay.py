"""What stood on several topics, read again in one order."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.consumer import raw
from shared.kafka.library_insides import UNPARSED
from shared.kafka.topics import Partition
from shared.kafka.unparsed import read_from

log = logging.getLogger(__name__)

SOME: Final = 500
"""Records of one partition that wait in memory."""

PATIENCE_MS: Final = 200


class Replay:
    """Reads partitions, each from one offset to another.

    Args:
        reader: has these partitions assigned to it.
        elsewhere: the cluster and group by which another client reads what `reader` cannot parse (see `unparsed`).
        begin, end: the first offset, and the one after the last, of each partition.
        order: of the records that come next in their partitions the lowest comes first.
    """

    def __init__(
        self,
        reader: AIOKafkaConsumer,
        elsewhere: tuple[Cluster, str],
        begin: Mapping[Partition, int],
        end: Mapping[Partition, int],
        order: Callable[[Record], tuple[int, ...]],
    ) -> None:
        self._reader = reader
        self._elsewhere = elsewhere
        self._next = {partition: offset for partition, offset in begin.items() if offset < end.get(partition, 0)}
        self._end = end
        self._order = order
        self.oldest_ms = 0  # all that Kafka took before has been read
        self._waiting: dict[Partition, deque[Record]] = {partition: deque() for partition in self._next}

    async def records(self) -> AsyncIterator[Record]:
        """All of them, those of one partition in their order."""
        for partition, offset in self._next.items():
            self._reader.seek(TopicPartition(*partition), offset)
        while True:
            for partition in [p for p, waiting in self._waiting.items() if not waiting]:
                await self._fill(partition)
            if not self._waiting:
                return
            self.oldest_ms = min(waiting[0].timestamp_ms for waiting in self._waiting.values())
            first = min(self._waiting, key=lambda partition: self._order(self._waiting[partition][0]))
            yield self._waiting[first].popleft()

    async def _fill(self, partition: Partition) -> None:
        """Read on in a partition; at its end it is left out from here on."""
        assigned, end = TopicPartition(*partition), self._end[partition]
        while not self._waiting[partition] and self._next[partition] < end:
            try:
                found = await self._reader.getmany(assigned, timeout_ms=PATIENCE_MS, max_records=SOME)
                some = [raw(r) for r in found.get(assigned, ())]
                self._next[partition] = await self._reader.position(assigned)
            except UNPARSED as trouble:
                log.warning("%s/%s has what cannot be parsed: %s", *partition, type(trouble).__name__)
                some = await asyncio.to_thread(read_from, *self._elsewhere, *partition, self._next[partition])
                self._next[partition] = some[-1].offset + 1 if some else self._next[partition]
                self._reader.seek(assigned, self._next[partition])
            self._waiting[partition] += (record for record in some if record.offset < end)
        if not self._waiting[partition]:
            del self._waiting[partition]
