"""The story as it is usually written: a FastStream handler for one message, a pydantic model, an ORM session and one
commit a message, and a relay that polls.

Nothing is slow on purpose: default settings, loaders by primary key, no message is handled twice.
"""

import asyncio
from importlib import import_module

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.benchmarks.servers import SERVICES, Contender

MODULES = {service: f"tests.benchmarks.usual.{service}" for service in SERVICES}


def prepare(admin_url: str, suffix: str) -> dict[str, str]:
    """Template databases with the tables of the ORM."""

    async def make() -> dict[str, str]:
        urls = {}
        admin = await asyncpg.connect(admin_url)
        for service in SERVICES:
            name = f"usual_{service}{suffix}"
            await admin.execute(f'CREATE DATABASE "{name}"')
            url = make_url(admin_url).set(database=name)
            urls[service] = url.render_as_string(False)
            engine = create_async_engine(url.set(drivername="postgresql+asyncpg"))
            async with engine.begin() as connection:
                await connection.run_sync(import_module(MODULES[service]).Base.metadata.create_all)
            await engine.dispose()
        await admin.close()
        return urls

    return asyncio.run(make())


CONTENDER = Contender("usual", MODULES, prepare)
