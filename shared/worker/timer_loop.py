"""Delivers deadlines that are due, as messages, once the fence is passed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from aiokafka.errors import KafkaError

from shared.decision.clock import Clock
from shared.instruments import metrics
from shared.postgres.pool import TROUBLE, Database
from shared.tables.timers import next_due
from shared.worker.alarm import Alarm
from shared.worker.fence import Fence

log = logging.getLogger(__name__)

REST: Final = 0.02
"""Seconds between two looks at the deadlines; commits come faster than that."""


class TimerLoop:
    """Delivers due timers. `run` goes on until cancelled; while Kafka is away timers wait."""

    def __init__(
        self,
        service: str,
        database: Database,
        fence: Fence,
        clock: Clock,
        alarm: Alarm,
        deliver: Callable[[datetime], Awaitable[int]],
    ) -> None:
        self._service = service
        self._database = database
        self._fence = fence
        self._clock = clock
        self._alarm = alarm
        self._deliver = deliver

    async def run(self) -> None:
        """Deliver what is due, sleep until the next deadline, again."""
        while True:
            try:
                await self._pass()
                await self._alarm.wait(REST)
            except (*TROUBLE, KafkaError) as trouble:
                log.warning("timers wait: %s", type(trouble).__name__)
                await asyncio.sleep(1)

    async def _pass(self) -> None:
        async with self._database.session() as connection:
            due_at = await next_due(connection)
        if due_at is not None and due_at <= self._clock.now():
            until = await self._fence.passed()
            metrics.TIMER_LATENESS.labels(self._service).observe((until - due_at).total_seconds())
            while await self._deliver(until):
                pass
            async with self._database.session() as connection:
                due_at = await next_due(connection)
        self._alarm.ring_at(due_at)
