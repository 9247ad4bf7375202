"""The tests' own servers from containers: the Kafka that `make test` prefers, and PostgreSQL as production has it."""

import asyncio

import asyncpg
import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config

from deploy.databases import SERVICES, provision
from shared.cluster import Cluster
from shared.topics import TOPICS, create_topics
from tests.conftest import kafka_in_docker
from tests.kafka_clients import producer, topic_ends

IMAGE = "postgres:17-trixie"


@pytest.mark.timeout(180)
async def test_the_kafka_of_the_tests_comes_from_a_container() -> None:
    with kafka_in_docker() as address:
        assert address is not None
        assert len(await create_topics(Cluster(address))) == len(TOPICS)
        async with producer(address) as client:
            await client.send_and_wait("clinic.requests", b"one", key=b"course")
        assert sum((await topic_ends(address)).values()) == 1


@pytest.mark.timeout(180)
def test_every_migration_runs_on_the_postgresql_of_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)  # its own image would have to be pulled
    with PostgresContainer(IMAGE, driver=None) as server:
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
