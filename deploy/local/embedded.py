"""All of Chairtime in one process: three services, a PostgreSQL from its wheel, and a Kafka in memory or a real one.

The same code, SQL and wire protocol as in production; no Docker, no Java, no account. The in-memory Kafka forgets
everything when the process ends, so what was published but perhaps not heard is published again from the outboxes at
the next start; the inboxes drop repeats.
"""

import asyncio
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError
from fastapi import FastAPI

from deploy.local.mock_kafka import PARTITIONS, MockKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.server_process import CannotStart
from deploy.local.stepping import KeptClock, Walk, clock_routes
from deploy.preparing.databases import provision
from deploy.preparing.heard import HEARS
from deploy.preparing.profiles import check_profiles
from services.billing import main as billing
from services.billing.settings import BillingSettings
from services.booking import main as booking
from services.booking.settings import BookingSettings
from services.reminders import main as reminders
from services.reminders.sending.sender import ConsoleSender
from services.reminders.settings import RemindersSettings
from services.reminders.text.provider import OutgoingText
from shared.configuration.api_keys import Role
from shared.configuration.clinic import clinic_folders
from shared.configuration.settings import Misconfigured, ServiceSettings, read_settings
from shared.decision.clock import Clock, WallClock
from shared.kafka.topics import TOPICS, create_topics
from shared.postgres.pool import Database
from shared.service.process import HttpServer
from shared.service.service import Service
from shared.tables import outbox
from shared.tables.heard import forget_all, heard_to

SERVICES: Final = tuple(HEARS)


@dataclass(frozen=True, slots=True)
class Address:
    """Where everything is; what `up.json` says."""

    kafka: str
    booking: str
    billing: str
    reminders: str
    api_key: str
    twilio: dict[str, Any]


class Embedded:
    """Chairtime in this process.

    Args:
        home: folder for data, log, the stepped clock's instant and `up.json`; one process at a time.
        kafka: address of a real Kafka, or None for the one in memory.
        stepped: the clock stands still until it is moved. It begins at the wall's time, or where it stood in this home
            when that is later.
        show: gets every text that would be sent.
    """

    def __init__(self, home: Path, *, kafka: str | None, stepped: bool, show: Callable[[OutgoingText], None]) -> None:
        self.home = home
        self._kafka = kafka
        self._show = show
        self._mock = None if kafka else MockKafka()
        self._postgres = EmbeddedPostgres(home / "postgres")
        self._stepped = stepped
        self._announced = False
        self.clock: Clock = WallClock()
        self._servers: list[tuple[HttpServer, asyncio.Task[None]]] = []
        self.services: dict[str, Service[Any, Any]] = {}
        self.urls: dict[str, str] = {}
        self.walk: Walk | None = None

    async def start(self) -> Address:
        """Start everything and write `up.json`.

        Raises:
            CannotStart: one line that says what is missing or taken.
            Misconfigured: one line about a setting or profile.
        """
        common_settings(self._kafka)  # this and the profiles before anything is started
        profiles = check_profiles()
        self.home.mkdir(parents=True, exist_ok=True)
        admin_url = await asyncio.to_thread(self._postgres.start)
        if self._stepped:  # not before the home is ours alone
            self.clock = KeptClock(self.home / "clock")
        self.urls = await asyncio.to_thread(provision, admin_url)
        kafka = await self._start_kafka(self.urls)
        sockets = {name: _listen(name) for name in SERVICES}
        addresses = {name: f"http://127.0.0.1:{held.getsockname()[1]}" for name, held in sockets.items()}
        api_key = secrets.token_urlsafe(32)
        common: dict[str, Any] = {
            "kafka": kafka,
            "kafka_alone": PARTITIONS if self._mock else None,  # joining a group takes seconds there
            "profiles": profiles,
            "api_keys": self._write_keys(api_key),
        }
        twilio = _invented_twilio(common["profiles"])
        apps = self._build(common, self.urls, addresses, twilio)
        self.services = {name: app.state.service for name, app in apps.items()}
        await asyncio.gather(*(service.start() for service in self.services.values()))
        if isinstance(self.clock, KeptClock):
            self.walk = Walk(self.clock, list(self.services.values()))
            apps["booking"].include_router(clock_routes(self.walk))
        for name, app in apps.items():
            await self._serve(app, sockets[name])
        address = Address(kafka=kafka, api_key=api_key, twilio=twilio, **addresses)
        self._write_address(address)
        return address

    async def stop(self) -> None:
        """Stop in order; data stays."""
        if self._announced:  # else it is another process's
            (self.home / "up.json").unlink(missing_ok=True)
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)
        await asyncio.gather(*(service.stop() for service in self.services.values()), return_exceptions=True)
        if self._mock is not None:
            self._mock.stop()
        await asyncio.to_thread(self._postgres.stop)

    async def _start_kafka(self, urls: dict[str, str]) -> str:
        if self._mock is not None:
            address = self._mock.start()
            self._mock.create_topics(topic.name for topic in TOPICS)
            cluster = "in memory"
        else:
            assert self._kafka is not None
            address = cluster = self._kafka
            try:
                async with asyncio.timeout(20):
                    await create_topics(common_settings(address).cluster)
            except (KafkaError, OSError, TimeoutError):
                raise CannotStart(f"no Kafka answers at CHAIRTIME_KAFKA={address}") from None
        last = self.home / "kafka"
        if self._mock is not None or not last.exists() or last.read_text() != cluster:
            await _forget_kafka(urls)
        last.write_text(cluster)
        return address

    def _build(
        self, common: dict[str, Any], urls: dict[str, str], addresses: dict[str, str], twilio: dict[str, Any]
    ) -> dict[str, FastAPI]:
        own = {
            "sms": "console",
            "public_url": addresses["reminders"],
            "twilio_account_sid": twilio["account_sid"],
            "twilio_auth_token": twilio["auth_token"],
            "twilio_numbers": twilio["numbers"],
        }
        return {
            "booking": booking.build(
                read_settings(BookingSettings, **common, booking_database=urls["booking"]), self.clock
            ),
            "billing": billing.build(
                read_settings(BillingSettings, **common, billing_database=urls["billing"]), self.clock
            ),
            "reminders": reminders.build(
                read_settings(RemindersSettings, **common, **own, reminders_database=urls["reminders"]),
                self.clock,
                ConsoleSender(self._show),
            ),
        }

    async def _serve(self, app: FastAPI, held: socket.socket) -> None:
        server = HttpServer(app)
        task = asyncio.create_task(server.serve(sockets=[held]))
        self._servers.append((server, task))
        await server.listens.wait()

    def _write_keys(self, api_key: str) -> Path:
        file = self.home / "api_keys.toml"
        roles = ", ".join(f'"{role}"' for role in Role)
        digest = hashlib.sha256(api_key.encode()).hexdigest()
        file.write_text(f'[[keys]]\nname = "up"\nsha256 = "{digest}"\nroles = [{roles}]\n')
        return file

    def _write_address(self, address: Address) -> None:
        """In one step, so that nobody reads half of it; for our user alone, since it holds the key."""
        unfinished = self.home / "up.json.unfinished"
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({name: getattr(address, name) for name in Address.__slots__}, file, indent=2)
        unfinished.rename(self.home / "up.json")
        self._announced = True


def common_settings(kafka: str | None = None) -> ServiceSettings:
    """The settings that all services share, from the environment; the Kafka in memory has no address yet.

    Raises:
        Misconfigured: the first variable that is wrong, and why.
    """
    return read_settings(ServiceSettings, kafka=kafka or "")


def _listen(name: str) -> socket.socket:
    """A socket on the port that CHAIRTIME_<NAME>_PORT names, or on a free one.

    Raises:
        CannotStart: the port is taken.
        Misconfigured: it is no port.
    """
    variable = f"CHAIRTIME_{name.upper()}_PORT"
    port = os.environ.get(variable, "0")
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", int(port)))
    except OSError:
        raise CannotStart(f"port {port} is taken: end what listens there, or set {variable} to another") from None
    except (ValueError, OverflowError):
        raise Misconfigured(f"{variable}: {port!r} is not a port") from None
    return held


def _invented_twilio(profiles: Path) -> dict[str, Any]:
    """An account that exists nowhere, for signing webhooks; each clinic gets a number of its own."""
    clinics = common_settings().clinics
    names = sorted(clinic_folders(profiles, clinics))
    return {
        "account_sid": "AC" + secrets.token_hex(16),
        "auth_token": secrets.token_hex(16),
        "numbers": {name: f"+1555010{number:04d}" for number, name in enumerate(names, start=1)},
    }


async def _forget_kafka(urls: dict[str, str]) -> None:
    """The Kafka of the last run is gone: publish again what a subscriber had not heard, and count offsets anew."""
    databases = {name: Database(url, pool_size=1) for name, url in urls.items()}
    heard: dict[str, dict[tuple[str, int], int]] = {}
    try:
        for name, database in databases.items():
            async with database.begin() as connection:
                heard[name] = await heard_to(connection)
        for name, database in databases.items():
            topic = f"{name}.events"
            hearers = [heard[other] for other, hears in HEARS.items() if topic in hears]
            partitions = sorted({number for offsets in hearers for heard_of, number in offsets if heard_of == topic})
            async with database.begin() as connection:
                by_all = {p: min(offsets.get((topic, p), 0) for offsets in hearers) for p in partitions}
                await outbox.forget_kafka(connection, topic, by_all)
        for database in databases.values():
            async with database.begin() as connection:
                await forget_all(connection)
    finally:
        for database in databases.values():
            await database.close()
