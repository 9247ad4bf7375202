"""The tests' own servers from containers: the Kafka that `make test` prefers, and PostgreSQL as production has it."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local.kafka import node
from deploy.operating.kafka_account import KafkaTrouble, admin
from deploy.preparing.databases import SERVICES, provision
from shared.decision.message import Record
from shared.kafka.cluster import Cluster
from shared.kafka.connection import Kafka
from shared.kafka.topics import TOPICS, create_topics
from shared.kafka.unparsed import read_from
from tests.conftest import KAFKA_IMAGE, kafka_in_docker
from tests.stand_ins.kafka_clients import producer, topic_ends

POSTGRES_IMAGE = "postgres:17-trixie"


@pytest.mark.timeout(180)
async def test_the_kafka_of_the_tests_comes_from_a_container() -> None:
    with kafka_in_docker() as address:
        assert address is not None
        assert len(await create_topics(Cluster(address))) == len(TOPICS)
        async with producer(address) as client:
            await client.send_and_wait("clinic.requests", b"one", key=b"course")
        assert sum((await topic_ends(address)).values()) == 1


@pytest.mark.timeout(180)
async def test_a_kafka_with_accounts_is_spoken_to_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of our clients; a Kafka whose certificate another authority has signed is refused by all."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    certificates(tmp_path)
    with kafka_over_tls(tmp_path) as address:
        cluster = Cluster(address, "admin", PASSWORD, tmp_path / "ca.pem", mechanism="PLAIN")
        await create_topics(cluster)
        heard: asyncio.Queue[Record] = asyncio.Queue()

        async def handle(records: list[Record]) -> None:
            for record in records:
                heard.put_nowait(record)

        async def pass_over(places: object) -> None:
            pass

        kafka = Kafka(cluster, "booking", {"clinic.requests": frozenset()}, handle, pass_over, 0)
        await kafka.start()
        try:
            await kafka.producer.send_and_wait("clinic.requests", b"one", key=b"course", partition=0)
            async with asyncio.timeout(30):
                assert (await heard.get()).value == b"one"
            assert sum((await kafka.ends()).values()) == 1
        finally:
            await kafka.stop_listening()
            await kafka.stop()
        assert [record.value for record in read_from(cluster, "booking", "clinic.requests", 0, 0)] == [b"one"]

        stranger = replace(cluster, ca_file=tmp_path / "other.pem")
        with pytest.raises(KafkaConnectionError):
            await create_topics(stranger)
        assert read_from(stranger, "booking", "clinic.requests", 0, 0) == []


PASSWORD = "over the wire"


def certificates(folder: Path) -> None:
    """An authority, Kafka's key and certificate for 127.0.0.1 in one file, and another authority."""
    for name in ("ca", "other"):
        openssl(
            folder, f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        )
    openssl(folder, "req -newkey rsa:2048 -nodes -subj /CN=kafka -keyout kafka.key -out kafka.csr")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    openssl(
        folder, "x509 -req -days 2 -in kafka.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile san -out kafka.crt"
    )
    tls = folder / "tls"
    tls.mkdir(mode=0o755)
    (tls / "kafka.pem").write_text((folder / "kafka.key").read_text() + (folder / "kafka.crt").read_text())
    (tls / "kafka.pem").chmod(0o644)


def openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


@contextlib.contextmanager
def kafka_over_tls(folder: Path) -> Iterator[str]:
    """`host:port` of a Kafka that takes nothing but TLS with an account."""
    port, settings = node.free_port(), node.SETTINGS | node.copies(1)
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    container = DockerContainer(KAFKA_IMAGE).with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS="OUTSIDE://:9092,CONTROLLER://localhost:9093,INSIDE://localhost:9094",
        KAFKA_ADVERTISED_LISTENERS=f"OUTSIDE://127.0.0.1:{port},INSIDE://localhost:9094",
        KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="OUTSIDE:SASL_SSL,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT",
        KAFKA_LISTENER_NAME_OUTSIDE_SASL_ENABLED_MECHANISMS="PLAIN",
        KAFKA_LISTENER_NAME_OUTSIDE_PLAIN_SASL_JAAS_CONFIG=f'{plain} user_admin="{PASSWORD}";',
        KAFKA_LISTENER_NAME_OUTSIDE_SSL_KEYSTORE_TYPE="PEM",
        KAFKA_LISTENER_NAME_OUTSIDE_SSL_KEYSTORE_LOCATION="/tls/kafka.pem",
        **{f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()},
    )
    container.with_volume_mapping(str(folder / "tls"), "/tls", "ro")
    container.ports["9092/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment]  # docker's form for one interface only
    cluster = Cluster(f"127.0.0.1:{port}", "admin", PASSWORD, folder / "ca.pem", mechanism="PLAIN")
    try:
        container.start()
        answers(cluster)
        yield cluster.servers
    finally:
        container.stop()


def answers(cluster: Cluster) -> None:
    """Wait until the broker lets us in."""
    give_up_at = time.monotonic() + 90
    while True:
        try:
            admin(cluster)
            return
        except KafkaTrouble:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.5)


@pytest.mark.timeout(180)
def test_every_migration_runs_on_the_postgresql_of_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)  # its own image would have to be pulled
    with PostgresContainer(POSTGRES_IMAGE, driver=None) as server:
        admin = f"postgresql://{server.username}:{server.password}@127.0.0.1:{server.get_exposed_port(5432)}/postgres"
        urls = provision(admin, {service: f"of {service}" for service in SERVICES})
        assert provision(admin, {service: f"of {service}" for service in SERVICES}) == urls, "again: nothing is new"
        for service, url in urls.items():
            assert asyncio.run(_tables(url)) > 5, service


async def _tables(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    finally:
        await connection.close()
