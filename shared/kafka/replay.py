"""What stood on several topics, read again in one order."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.consumer import Place, raw
from shared.kafka.library_insides import UNPARSED
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
        begin: Mapping[Place, int],
        end: Mapping[Place, int],
        order: Callable[[Record], tuple[int, ...]],
    ) -> None:
        self._reader = reader
        self._elsewhere = elsewhere
        self._next = {place: offset for place, offset in begin.items() if offset < end.get(place, 0)}
        self._end = end
        self._order = order
        self.oldest_ms = 0  # all that Kafka took before has been read
        self._waiting: dict[Place, deque[Record]] = {place: deque() for place in self._next}

    async def records(self) -> AsyncIterator[Record]:
        """All of them, those of one partition in their order."""
        for place, offset in self._next.items():
            self._reader.seek(TopicPartition(*place), offset)
        while True:
            for place in [p for p, waiting in self._waiting.items() if not waiting]:
                await self._fill(place)
            if not self._waiting:
                return
            self.oldest_ms = min(waiting[0].timestamp_ms for waiting in self._waiting.values())
            first = min(self._waiting, key=lambda place: self._order(self._waiting[place][0]))
            yield self._waiting[first].popleft()

    async def _fill(self, place: Place) -> None:
        """Read on in a partition; at its end it is left out from here on."""
        partition, end = TopicPartition(*place), self._end[place]
        while not self._waiting[place] and self._next[place] < end:
            try:
                found = await self._reader.getmany(partition, timeout_ms=PATIENCE_MS, max_records=SOME)
                some = [raw(r) for r in found.get(partition, ())]
                self._next[place] = await self._reader.position(partition)
            except UNPARSED as trouble:
                log.warning("%s/%s has what cannot be parsed: %s", *place, type(trouble).__name__)
                some = await asyncio.to_thread(read_from, *self._elsewhere, *place, self._next[place])
                self._next[place] = some[-1].offset + 1 if some else self._next[place]
                self._reader.seek(partition, self._next[place])
            self._waiting[place] += (record for record in some if record.offset < end)
        if not self._waiting[place]:
            del self._waiting[place]
