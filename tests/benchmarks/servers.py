"""What the contenders run on: one real Kafka, one PostgreSQL that syncs, and for each trial fresh topics, fresh
databases and three fresh processes.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import make_url

from deploy.local.postgres import EmbeddedPostgres
from shared.kafka.cluster import Cluster
from shared.kafka.topics import TOPICS, create_topics

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("booking", "billing", "reminders")


@dataclass(frozen=True)
class Contender:
    """One way of building the three services.

    Attributes:
        name: what the table calls it.
        modules: which Python module is each service's process.
        prepare: (admin URL, suffix) -> each service's template database, made once.
        texts: SQL that counts the scheduled texts in reminders' database.
        checkout: where its code is.
    """

    name: str
    modules: Mapping[str, str]
    prepare: Callable[[str, str], dict[str, str]]
    texts: str = "SELECT count(*) FROM texts WHERE state = 'scheduled'"
    checkout: Path = REPOSITORY


def checked_out(folder: Path) -> Contender:
    """The services of another checkout, such as the commit before a change; on the packages of this one.

    Its tables are made by its own code, in a process of its own.
    """

    def prepare(admin_url: str, suffix: str) -> dict[str, str]:
        code = (
            "import json, sys; from deploy.preparing.databases import provision;"
            " print(json.dumps(provision(sys.argv[1], suffix=sys.argv[2])))"
        )
        command = [sys.executable, "-c", code, admin_url, suffix]
        made = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
        urls: dict[str, str] = json.loads(made.stdout)
        return urls

    return Contender("beside", {s: f"services.{s}" for s in SERVICES}, prepare, checkout=folder)


class Running:
    """A contender's three processes, and what they have used up."""

    def __init__(self, processes: Mapping[str, subprocess.Popen[bytes]], reminders: str, texts: str) -> None:
        self.processes = processes
        self._reminders = reminders
        self._texts = texts

    def cpu_seconds(self) -> float:
        """Of the three processes so far."""
        return sum(cpu_seconds_of(process.pid) for process in self.processes.values())

    def texts(self) -> int:
        """How many texts are scheduled."""

        async def count() -> int:
            connection = await asyncpg.connect(self._reminders)
            try:
                return int(await connection.fetchval(self._texts))
            finally:
                await connection.close()

        return asyncio.run(count())

    def wait_for_texts(self, wanted: int, seconds: float = 60) -> None:
        """Return when so many are scheduled.

        Raises:
            RuntimeError: it takes too long.
        """
        until = time.monotonic() + seconds
        while (there := self.texts()) < wanted:
            if time.monotonic() > until:
                raise RuntimeError(f"{there} of {wanted} texts are scheduled")
            time.sleep(0.05)


def cpu_seconds_of(pid: int) -> float:
    """CPU that a process has used, user and system, its finished children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_below(pid: int) -> float:
    """CPU that a process and all of its living children have used."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = cpu_seconds_of(pid)
    for child in children:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended in between, and counts with the parent
            total += cpu_seconds_of(int(child))
    return total


def postmaster(postgres: EmbeddedPostgres) -> int:
    """The process id of the server."""
    return int((postgres.directory / "data" / "postmaster.pid").read_text().split()[0])


async def fresh_topics(servers: str) -> None:
    """Throw all topics away and make them anew."""
    names = {topic.name for topic in TOPICS}
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        if there := names & set(await admin.list_topics()):
            await admin.delete_topics(sorted(there))
            async with asyncio.timeout(30):
                while names & set(await admin.list_topics()):  # noqa: ASYNC110 - Kafka rings no bell
                    await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await create_topics(Cluster(servers))


@contextmanager
def fresh_databases(admin_url: str, templates: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Copies of the template databases, by service, and gone afterwards."""
    suffix = uuid4().hex[:8]

    async def execute(*statements: str) -> None:
        admin = await asyncpg.connect(admin_url)
        try:
            for statement in statements:
                await admin.execute(statement)
        finally:
            await admin.close()

    names = {service: make_url(url).database for service, url in templates.items()}
    copies = {service: f"{name}_{suffix}" for service, name in names.items()}
    asyncio.run(execute(*(f'CREATE DATABASE "{copies[s]}" TEMPLATE "{names[s]}"' for s in names), "CHECKPOINT"))
    try:
        yield {s: make_url(templates[s]).set(database=copies[s]).render_as_string(False) for s in names}
    finally:
        asyncio.run(execute(*(f'DROP DATABASE "{copy}" WITH (FORCE)' for copy in copies.values())))


@contextmanager
def running(
    contender: Contender, kafka: str, databases: Mapping[str, str], profiles: Path, logs: Path
) -> Iterator[Running]:
    """The contender's three processes, ended afterwards."""
    environment = os.environ | {"CHAIRTIME_KAFKA": kafka, "CHAIRTIME_PROFILES": str(profiles)}
    for service in SERVICES:
        environment[f"CHAIRTIME_{service.upper()}_DATABASE"] = databases[service]
        environment[f"CHAIRTIME_{service.upper()}_PORT"] = "0"
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in SERVICES:
            with (logs / f"{contender.name}-{service}.log").open("ab") as log:
                processes[service] = subprocess.Popen(
                    [sys.executable, "-m", contender.modules[service]],
                    cwd=contender.checkout,
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
        yield Running(processes, databases["reminders"], contender.texts)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
