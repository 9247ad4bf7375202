"""The fence that what is due waits behind: everything that stood on the topics at that instant has been heard."""

import asyncio
from datetime import datetime

from shared.decision.clock import Clock
from shared.kafka.connection import Kafka
from shared.postgres.pool import Database
from shared.tables.heard import heard_to


class Fence:
    """Tells up to which instant everything that could forbid a deadline has been heard."""

    def __init__(self, database: Database, kafka: Kafka, clock: Clock) -> None:
        self._database = database
        self._kafka = kafka
        self._clock = clock

    async def passed(self) -> datetime:
        """Wait until all that is on this service's topics now has been heard, by any of its replicas.

        Returns:
            The instant, by our clock, at which the ends of the topics were read.

        Raises:
            KafkaError: the ends cannot be read; nothing may fall due.
        """
        now = self._clock.now()
        ends = await self._kafka.ends()
        while True:
            async with self._database.session() as connection:
                heard = await heard_to(connection)
            behind = {partition: end for partition, end in ends.items() if heard.get(partition, 0) < end}
            if not behind:
                return now
            starts = await self._kafka.starts(behind)  # what retention has deleted will never be heard
            if all(starts[partition] >= end for partition, end in behind.items()):
                return now
            await asyncio.sleep(0.02)
