"""The story written by hand, as bare as it goes: aiokafka, orjson, asyncpg on uvloop, one transaction a batch.

The same durable facts and the same events, and only what this one story needs: no rule for anything that goes another
way, no validation, no dead letters, no fence, no HTTP, no metrics. It is the floor that the services are measured by.
"""

import asyncio
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from tests.benchmarks.servers import SERVICES, Contender


def prepare(admin_url: str, suffix: str) -> dict[str, str]:
    """Template databases with the floor's tables."""
    tables = Path(__file__).with_name("tables.sql").read_text().split("-- database: ")

    async def make() -> dict[str, str]:
        urls = {}
        admin = await asyncpg.connect(admin_url)
        for service, (common, own) in zip(SERVICES, ((tables[1], part) for part in tables[2:]), strict=True):
            name = f"floor_{service}{suffix}"
            await admin.execute(f'CREATE DATABASE "{name}"')
            urls[service] = make_url(admin_url).set(database=name).render_as_string(False)
            connection = await asyncpg.connect(urls[service])
            await connection.execute(common.partition("\n")[2] + own.partition("\n")[2])
            await connection.close()
        await admin.close()
        return urls

    return asyncio.run(make())


CONTENDER = Contender("floor", {service: f"tests.benchmarks.floor.{service}" for service in SERVICES}, prepare)
