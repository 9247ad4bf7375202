"""The real servers that tests run against: one Kafka and one PostgreSQL for the whole run, fresh databases each test.

A test that needs one and cannot have it fails, with one line that says what to install; it is never skipped.
"""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient
from sqlalchemy import make_url

from deploy.local.kafka import node
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.server_process import CannotStart
from deploy.preparing.databases import provision

KAFKA_IMAGE = "apache/kafka:4.3.1"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """`host:port` of a real Kafka: the one in CHAIRTIME_TEST_KAFKA, else a container, else the jars on this Java."""
    with contextlib.ExitStack() as stack:
        if given := os.environ.get("CHAIRTIME_TEST_KAFKA"):
            if not node.answers(client_of(given), seconds=10):
                pytest.fail(f"no Kafka answers at CHAIRTIME_TEST_KAFKA={given}: start it, or unset it", pytrace=False)
            yield given
        elif in_docker := stack.enter_context(kafka_in_docker()):
            yield in_docker
        else:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="chairtime-kafka-"))
            try:
                address = stack.enter_context(node.KafkaNode(Path(home)))
            except CannotStart as reason:
                line = f"this test needs a Kafka (Java 17 with Maven, or Docker with {KAFKA_IMAGE}): {reason}"
                raise pytest.fail.Exception(line, pytrace=False) from None
            yield address


def client_of(address: str) -> AdminClient:
    """A client that asks whether a Kafka is there, and logs nothing where none is."""
    return AdminClient({"bootstrap.servers": address, **node.QUIET_CLIENT})


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Admin URL (`postgresql://...`) of an empty PostgreSQL without fsync, for 200 connections."""
    home = Path(tempfile.mkdtemp(prefix="chairtime-pg-", dir=_memory()))
    try:
        with EmbeddedPostgres(home, fsync=False) as url:
            yield url
    except CannotStart as reason:
        raise pytest.fail.Exception(f"this test needs PostgreSQL: {reason}", pytrace=False) from None
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _memory() -> str | None:
    """A folder in memory with room for a test's databases, of which each is 300 files; None where there is none."""
    memory = "/dev/shm"
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 * 1024**3
    return memory if roomy else None


@pytest.fixture(scope="session")
def template_databases(postgres: str) -> dict[str, str]:
    """Each service's database with its tables and nothing in them; nobody may connect while it is copied."""
    with ThreadPoolExecutor(1) as beside_the_event_loop:
        return beside_the_event_loop.submit(provision, postgres, suffix="_template").result()


@pytest.fixture
async def databases(postgres: str, template_databases: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    """URLs of three fresh databases, by service and as its own role."""
    async with copies(postgres, template_databases) as urls:
        yield urls


@contextlib.asynccontextmanager
async def copies(postgres: str, templates: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """URLs of copies of databases to which nobody is connected, by service; dropped afterwards."""
    suffix = uuid4().hex[:12]
    admin = await asyncpg.connect(postgres)
    try:
        for service, url in templates.items():
            template = make_url(url).database
            await admin.execute(f'CREATE DATABASE "{service}_{suffix}" TEMPLATE "{template}" STRATEGY file_copy')
        yield {
            service: make_url(url).set(database=f"{service}_{suffix}").render_as_string(hide_password=False)
            for service, url in templates.items()
        }
        for service in templates:
            await admin.execute(f'DROP DATABASE "{service}_{suffix}" WITH (FORCE)')
    finally:
        await admin.close()


@contextlib.contextmanager
def kafka_in_docker() -> Iterator[str | None]:
    """Yields the address of a Kafka in a container; None without a local Docker engine that has the image already."""
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException  # type: ignore[import-untyped]
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # its own image would have to be pulled
    kind, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    try:
        if kind != "unix":
            raise OSError("the ports of another machine are not ours")
        with socket.socket(socket.AF_UNIX) as probe:  # docker's client leaks its own when nobody answers
            probe.connect(path)
    except OSError:
        yield None
        return
    try:
        with contextlib.closing(docker.from_env(timeout=10)) as engine:
            engine.images.get(KAFKA_IMAGE)
    except DockerException:
        yield None
        return
    port, settings = node.free_port(), node.SETTINGS | node.copies(1)
    container = DockerContainer(KAFKA_IMAGE).with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS="OUTSIDE://:9092,CONTROLLER://:9093,INSIDE://:9094",
        KAFKA_ADVERTISED_LISTENERS=f"OUTSIDE://127.0.0.1:{port},INSIDE://localhost:9094",
        KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE",  # it talks to itself, too: transactions need that
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT",
        **{f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()},
    )
    container.ports["9092/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment]  # docker's form for one interface only
    try:
        container.start()
        yield f"127.0.0.1:{port}" if node.answers(client_of(f"127.0.0.1:{port}"), seconds=60) else None
    finally:
        container.stop()
