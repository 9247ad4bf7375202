"""One service put together: its database, its connection to Kafka, its clock, and the tasks that run with it.

`Service` knows no rule; what makes it booking, billing or reminders are the `Rules` that it is given.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Generic

from aiokafka.errors import KafkaError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from shared.configuration.api_keys import ApiKeys
from shared.configuration.settings import Misconfigured, ServiceSettings
from shared.decision.clock import Clock
from shared.decision.decision import Context, State
from shared.instruments import metrics
from shared.kafka.connection import Kafka
from shared.kafka.topics import Partition
from shared.postgres.migrations import mismatch, revision
from shared.postgres.pool import TROUBLE, Database
from shared.service.readings import Look, Readings
from shared.tables import inbox, outbox
from shared.tables.heard import heard_to, remember_own
from shared.tables.timers import next_due
from shared.worker.alarm import Alarm
from shared.worker.fence import Fence
from shared.worker.recovery import Recovered, Recovery
from shared.worker.relay import Relay
from shared.worker.service_rules import Rules
from shared.worker.set_back import Memory
from shared.worker.timer_loop import TimerLoop
from shared.worker.worker import Worker

log = logging.getLogger(__name__)

KEPT: Final = timedelta(days=30)
"""How long published events and the ids of heard messages are kept; no repeat comes later."""

Due = Callable[..., Awaitable[Any]]


class Service(Generic[State, Context]):
    """A service from its start to its end.

    Args:
        rules: what makes it this service.
        settings: the common settings.
        database_url: its own database, by its own role.
        migrations: the folder of its migrations, to refuse a database at another revision than theirs.
        clock: the wall's, or a stepped one.
    """

    def __init__(
        self,
        rules: Rules[State, Context],
        settings: ServiceSettings,
        database_url: str,
        migrations: Path,
        clock: Clock,
    ) -> None:
        self.name = rules.service
        self.listens = rules.listens
        metrics.begin(self.name)
        self.clock = clock
        self.keys = ApiKeys(settings.api_keys)
        self.database = Database(database_url)
        self._migrations = migrations
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._alarms: list[Alarm] = []
        self._commits: list[Alarm] = []
        self.worker = Worker(rules, self.database, clock, self._on_committed)
        self.kafka = Kafka(
            settings.cluster,
            self.name,
            rules.listens,
            self.worker.on_records,
            self.worker.pass_over,
            rules.rest,
            settings.kafka_alone,
        )
        self._memory = Memory(rules, self.database, self.kafka, clock)
        self._recovery = Recovery(self._memory, rules, self.worker, self.database, clock)
        self.fence = Fence(self.database, self.kafka, clock)
        self._outbox_alarm, self._timers_alarm = self.alarm("outbox"), self.alarm("timers")
        self._relay = Relay(self.name, self.database, self.kafka.producer, self._outbox_alarm)
        self._looks: list[Look] = []
        self._readings = Readings(self.name, self.database, self.kafka, self._relay, self.keys, clock, self._looks)
        self._timers = TimerLoop(self.name, self.database, self.fence, clock, self._timers_alarm, self.worker.on_timers)
        self._loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "relay": self._relay.run,
            "timers": self._timers.run,
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: str | None = None
        self._dues: list[Due] = [next_due]
        self._scheduler.add_job(self._purge, IntervalTrigger(hours=1), id="purge", misfire_grace_time=None)
        self._scheduler.add_job(self._watch, IntervalTrigger(seconds=10), id="watch", misfire_grace_time=None)

    def alarm(self, name: str) -> Alarm:
        """A bell for a task; it rings once a second, in case another process did something, and with `ring`."""
        alarm = Alarm(self._scheduler, self.clock, f"{self.name}-{name}")
        self._alarms.append(alarm)
        return alarm

    def add_loop(self, name: str, alarm: Alarm, run: Callable[[], Coroutine[Any, Any, None]], due: Due) -> None:
        """A task of the service's own, from start to stop.

        Args:
            alarm: what the task waits for; a commit rings it that brings something to look at earlier (`Rules.due`).
            due: (connection) -> the earliest instant that the task waits for, or None; past while it has work left.
        """
        self._loops[name] = run
        self._commits.append(alarm)
        self._dues.append(due)

    def ring(self) -> None:
        """Wake every task that waits for something due."""
        for alarm in self._alarms:
            alarm.ring()

    def ring_relay(self) -> None:
        """Wake the relay: there is something to publish."""
        self._outbox_alarm.ring()

    async def start(self) -> None:
        """Connect, listen, and begin to work.

        Raises:
            Misconfigured: the database is not at the revision that the code needs, or was set back.
            KafkaError: no broker answers.
        """
        await self._require_revision()
        await self._memory.look()
        self._scheduler.start()
        await self.kafka.start()
        for name, run in self._loops.items():
            task = asyncio.create_task(run(), name=f"{self.name}-{name}")
            task.add_done_callback(self._on_loop_ended)
            self._tasks.append(task)
        log.info("%s listens", self.name, extra={"service": self.name})

    async def recover(self, until: datetime | None) -> Recovered:
        """Instead of a start: bring a database that was set back to the present.

        Args:
            until: from here on the lost database was at work no more; now, where that is not known.

        Raises:
            Misconfigured: the database is not at the revision that the code needs, or a process of the service runs.
            KafkaError: no broker answers.
        """
        await self._require_revision()
        try:
            return await self._recovery.recover(until)
        finally:
            await self.stop()

    async def _require_revision(self) -> None:
        """Refuse the schema of another release, older or newer: what this one reads and writes may not be there."""
        if wrong := mismatch(self._migrations, await revision(self.database)):
            raise Misconfigured(f"{self.name}'s database is {wrong.told}: {wrong.fix}")

    async def stop(self) -> None:
        """Finish the batch in hand, stop listening, let go of everything."""
        tasks, self._tasks = self._tasks, []
        await self.kafka.stop_listening()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._readings.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await self.kafka.stop()
        await self.database.close()
        log.info("%s stopped", self.name, extra={"service": self.name})

    def trouble(self) -> str | None:
        """Why this process must be restarted, or None."""
        return self._failed or self.kafka.trouble()

    async def unready(self) -> str | None:
        """Why no work can be done right now, or None."""
        try:
            async with asyncio.timeout(5):
                await self.database.ping()
                await self.kafka.ends()
        except (*TROUBLE, KafkaError) as error:
            return f"not ready: {type(error).__name__}\n"
        return None

    def add_look(self, look: Look) -> None:
        """Gauges of the service's own."""
        self._looks.append(look)

    async def metrics(self) -> bytes:
        """All that is counted and read of this service, in Prometheus' text format."""
        return metrics.page(self.name, await self._readings.read())

    async def next_due(self) -> Any:
        """The earliest instant at which something here falls due, past or future, or None."""
        async with self.database.begin() as connection:
            dues = [await due(connection) for due in self._dues]
        return min((due for due in dues if due is not None), default=None)

    async def heard(self) -> dict[Partition, int]:
        """How far each partition has been read, effects included."""
        async with self.database.begin() as connection:
            return await heard_to(connection)

    async def unpublished(self) -> int:
        """How many events wait for the relay."""
        async with self.database.begin() as connection:
            return await outbox.unpublished(connection)

    def _on_committed(self, *, outgoing: bool, timer_at: datetime | None, due_at: datetime | None) -> None:
        if outgoing:
            self.ring_relay()
        if timer_at is not None:
            self._timers_alarm.ring_before(timer_at)
        if due_at is not None:
            for alarm in self._commits:
                alarm.ring_before(due_at)

    async def _purge(self) -> None:
        before = self.clock.now() - KEPT
        async with self.database.begin() as connection:
            await remember_own(connection, self.name)
            await outbox.purge(connection, before)
            await inbox.purge(connection, before)

    def _on_loop_ended(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:  # not by our own stop
            error = None if task.cancelled() else task.exception()
            self._fail(f"{task.get_name()} has ended", error)

    async def _watch(self) -> None:
        """End the process when Kafka's client has got stuck: a supervisor sees exits only."""
        if self._tasks and self._failed is None and (reason := self.kafka.trouble()):
            self._fail(reason)

    def _fail(self, reason: str, error: BaseException | None = None) -> None:
        """Stop by SIGTERM, so that a supervisor starts the process again."""
        self._failed = f"{reason}\n"
        log.critical("%s", reason, exc_info=error, extra={"service": self.name})
        os.kill(os.getpid(), signal.SIGTERM)
