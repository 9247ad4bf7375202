"""The pool gives out connections that work, and only these."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from shared.database import Database, rows


async def test_a_connection_that_the_server_has_closed_is_not_given_out(databases: dict[str, str]) -> None:
    database = Database(databases["booking"], pool_size=1)
    other = await asyncpg.connect(databases["booking"])
    try:
        async with database.session() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
        before = await pid(database)
        await other.execute("SELECT pg_terminate_backend($1)", before)
        async with asyncio.timeout(10):
            while not driver.is_closed():  # noqa: ASYNC110 - a driver rings no bell
                await asyncio.sleep(0.01)
        assert await pid(database) != before
    finally:
        await other.close()
        await database.close()


async def test_a_connection_of_which_only_the_driver_complains_is_not_used_again(databases: dict[str, str]) -> None:
    database = Database(databases["booking"], pool_size=1)
    before = await pid(database)
    try:
        async with database.session() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            slow = asyncio.create_task(driver.execute("SELECT pg_sleep(1)"))
            await asyncio.sleep(0)
            with pytest.raises(DBAPIError):  # another operation is in progress
                await rows(connection, "SELECT 1 AS one")
        assert await pid(database) != before
        await asyncio.gather(slow, return_exceptions=True)
    finally:
        await database.close()


async def pid(database: Database) -> int:
    """Which of the server's processes the pool's connection talks to."""
    async with database.session() as connection:
        return int((await rows(connection, "SELECT pg_backend_pid() AS pid"))[0].pid)
