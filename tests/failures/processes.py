"""Three services as real processes, which a test may kill, pause and double, and a look at their databases."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaConsumer

from deploy.local.fake_twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from deploy.local.kafka.node import free_port
from deploy.operating.publish import ClinicSystem, Event
from deploy.preparing.heard import HEARS
from shared.contract.register import EventData
from shared.kafka.cluster import Cluster
from shared.kafka.topics import TOPICS
from shared.postgres.pool import TROUBLE, Database
from shared.postgres.query import rows, run
from tests.failures.checker import check
from tests.stand_ins.kafka_clients import begin_at_the_end, consumer, places_of

REPOSITORY: Final = Path(__file__).parents[2]
SERVICES: Final = ("booking", "billing", "reminders")
KEY: Final = "a key that only these tests know"
CLINICS: Final = ("albany", "stella", "sturges", "stabilization")


LAPSE: Final = """UPDATE texts SET lease_until = now() WHERE state = 'sending' AND lease_until > now()
                  AND attempted_at < now() - interval '4 s' RETURNING 1"""
"""The leases of senders that have died run out now, not in five minutes."""

ROAD: Final = {
    "outbox rows": "SELECT count(*) FROM outbox WHERE published_at IS NULL",
    "due timers": "SELECT count(*) FROM timers WHERE due_at <= now()",
}
TEXTS: Final = {
    "texts": "SELECT count(*) FROM texts WHERE state = 'sending' OR state = 'scheduled' AND look_at <= now()",
}
UNDONE: Final = {"booking": ROAD, "billing": ROAD, "reminders": ROAD | TEXTS}
"""What each service still has to do, as its database shows it."""


class Processes:
    """Chairtime on a Kafka and three databases.

    `excused`: the exit codes that tests cause; a process that ends with another one fails whoever waits for anything.

    Args:
        home: gets a log for each process.
        alone: without consumer groups, so that a process that was killed is back at once; one process a service then.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        kafka: str,
        home: Path,
        twilio: FakeTwilio,
        ends: AIOKafkaConsumer,
        alone: bool,
    ) -> None:
        self.urls = urls
        self.kafka = kafka
        self.twilio = twilio
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.address: dict[str, str] = {}
        self.excused = {-signal.SIGKILL}
        self._home = home
        self._beside: list[asyncio.Task[Any]] = []
        self._ends = ends
        self._clinic = ClinicSystem(Cluster(kafka))
        self._databases = {name: Database(url, pool_size=2) for name, url in urls.items()}
        keys = home / "keys.toml"
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        keys.write_text(f'[[keys]]\nname = "test"\nsha256 = "{digest}"\nroles = ["front_desk", "till", "operator"]\n')
        self._environment = {
            "CHAIRTIME_KAFKA": kafka,
            "CHAIRTIME_API_KEYS": str(keys),
            "CHAIRTIME_SMS": "twilio",
            "CHAIRTIME_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "CHAIRTIME_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "CHAIRTIME_TWILIO_URL": twilio.url,
            "CHAIRTIME_PUBLIC_URL": "http://127.0.0.1:9",
            "CHAIRTIME_TWILIO_RATES": ",".join(f"{name}=1000" for name in CLINICS),
            "CHAIRTIME_TWILIO_NUMBERS": ",".join(f"{name}=+15550100{n:03d}" for n, name in enumerate(CLINICS)),
        }
        self._environment |= {f"CHAIRTIME_{name.upper()}_DATABASE": url for name, url in urls.items()}
        if alone:
            self._environment["CHAIRTIME_KAFKA_ALONE"] = str(TOPICS[0].partitions)

    # Processes --------------------------------------------------------------------------------------------------------

    def start(self, service: str, name: str = "", **environment: str) -> None:
        """Start one process; `name` tells a second one of the same service apart."""
        port = free_port()
        name = name or service
        with (self._home / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                cwd=REPOSITORY,
                env=self.environment | {f"CHAIRTIME_{service.upper()}_PORT": str(port)} | environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.address[name] = f"http://127.0.0.1:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process gets."""
        return os.environ | self._environment

    def kill(self, name: str) -> None:
        """kill -9."""
        self.running[name].kill()
        self.running[name].wait()

    def died(self, name: str) -> bool:
        """Whether it was killed, or ended as the test excuses; any other end is a failure."""
        code = self.running[name].poll()
        assert code is None or code in self.excused, f"{name} ended with {code}"
        return code is not None

    async def end(self, *names: str) -> None:
        """End processes in order, as a supervisor does."""
        for name in names:
            self.running[name].send_signal(signal.SIGTERM)
        for name in names:
            process = self.running.pop(name)
            try:
                code = await asyncio.to_thread(process.wait, 30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{name} does not end") from None
            assert code == 0, f"{name} ended with {code}"

    def beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Something that goes on beside the test, and not beyond it."""
        self._beside.append(asyncio.create_task(work))
        return self._beside[-1]

    async def ready(self, *names: str) -> None:
        """Wait until they answer."""
        for name in names:
            await self.until(lambda n=name: self._ready(n), f"{name} is ready", 120)

    def log(self, name: str) -> Path:
        """What a process has said."""
        return self._home / f"{name}.log"

    def logs(self) -> list[Path]:
        """All that they have said."""
        return sorted(self._home.glob("*.log"))

    async def call(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a request."""
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": str(uuid4())}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, self.address[name] + path, json=body) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    async def _ready(self, name: str) -> bool:
        self.died(name)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http,
                http.get(self.address[name] + "/health/ready") as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    # Kafka and PostgreSQL ---------------------------------------------------------------------------------------------

    async def publish(self, *facts: EventData | Event, times: int = 1) -> None:
        """Publish as a clinic does, each with an id of its own, perhaps several times."""
        events = [f if isinstance(f, Event) else event(f) for f in facts]
        await asyncio.to_thread(self._clinic.publish, events * times)

    async def rows(self, service: str, sql: str, **parameters: Any) -> list[Any]:
        """What stands in a service's database."""
        async with self._databases[service].begin() as connection:
            return list(await rows(connection, sql, **parameters))

    async def value(self, service: str, sql: str, **parameters: Any) -> Any:
        """The only value of what stands in a service's database."""
        found = await self.rows(service, sql, **parameters)
        return found[0][0] if found else None

    @asynccontextmanager
    async def locked(self, service: str, table: str) -> AsyncIterator[None]:
        """Nobody else writes to a table meanwhile, as if somebody mended it by hand."""
        async with self._databases[service].begin() as connection:
            await run(connection, f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    async def until(self, look: Callable[[], Awaitable[Any]], what: str, seconds: float = 30) -> Any:
        """Wait until `look` finds something; PostgreSQL may be away meanwhile.

        Args:
            what: is waited for, for whoever reads that it did not come.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for name in list(self.running):
                        self.died(name)
                    with contextlib.suppress(*TROUBLE):
                        if found := await look():
                            return found
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} seconds: {what}") from None
        except asyncio.CancelledError as given_up:
            given_up.add_note(f"while waiting: {what}")
            raise

    async def rest(self, seconds: float = 60) -> None:
        """Wait until all is heard, published and sent, and nothing is due."""
        busy: list[str] = []

        async def at_rest() -> bool:
            busy[:] = [what async for what in self._busy()]
            return not busy

        try:
            await self.until(at_rest, "all is at rest", seconds)
        except AssertionError as given_up:
            raise AssertionError(f"{given_up}; last seen: {'; '.join(busy)}") from None

    async def _busy(self) -> AsyncIterator[str]:
        """What is still to be done, by whom."""
        await self.rows("reminders", LAPSE)
        for service, looks in UNDONE.items():
            for what, sql in looks.items():
                if count := await self.value(service, sql):
                    yield f"{count} {what} of {service}"
            if behind := await self.lag(service):
                yield f"{behind} records that {service} has not heard"

    async def lag(self, *services: str) -> int:
        """How many records the services have not heard yet."""
        heard = {
            service: {
                (row.topic, row.partition): row.next_offset
                for row in await self.rows(service, "SELECT topic, partition, next_offset FROM heard")
            }
            for service in services or SERVICES
        }
        places = places_of(*{topic for service in heard for topic in HEARS[service]})
        ends = await self._ends.end_offsets(places)
        return sum(
            max(0, end - places.get((place.topic, place.partition), 0))
            for service, places in heard.items()
            for place, end in ends.items()
            if place.topic in HEARS[service]
        )

    async def check(self, **told: Any) -> None:
        """The promises, once all is at rest."""
        await self.rest()
        violations = await check(self.urls, self.kafka, logs=self.logs(), **told)
        assert not violations, "\n".join(violations[:20])

    async def stop(self) -> None:
        """End what still runs, in order where it goes."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        for process in self.running.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        give_up_at = time.monotonic() + 20
        for process in self.running.values():
            try:
                await asyncio.to_thread(process.wait, max(0.1, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for database in self._databases.values():
            await database.close()


@asynccontextmanager
async def processes(
    urls: Mapping[str, str], kafka: str, home: Path, *, alone: bool = False, start: Iterable[str] = SERVICES
) -> AsyncIterator[Processes]:
    """Chairtime at work, on topics as they are: what stands there already is not ours to hear."""
    await begin_at_the_end(kafka)
    async with FakeTwilio() as twilio, consumer(kafka) as ends:
        running = Processes(urls, kafka, home, twilio, ends, alone)
        try:
            for service in start:
                running.start(service)
            await running.ready(*start)
            yield running
        finally:
            await running.stop()


def event(fact: EventData, id: str = "") -> Event:
    """A fact as a clinic publishes it."""
    return Event(id or str(uuid4()), "/tests", datetime.now(UTC), fact)
