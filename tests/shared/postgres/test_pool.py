"""The pool gives out connections that work, and only these; what it tells of an error quotes nothing."""

import asyncio

import asyncpg
import pytest
from asyncpg import InterfaceError, PostgresError

from shared.postgres.pool import Database
from shared.postgres.query import rows, run
from shared.postgres.values import Connection


async def test_a_connection_that_the_server_has_closed_is_not_given_out(databases: dict[str, str]) -> None:
    database = Database(databases["booking"])
    other = await asyncpg.connect(databases["booking"])
    gone = asyncio.Event()
    try:
        async with database.session() as connection:
            before = await pid(connection)
            connection.add_termination_listener(lambda _: gone.set())
            await other.execute("SELECT pg_terminate_backend($1)", before)
            async with asyncio.timeout(10):
                await gone.wait()
        async with database.session() as connection:
            assert await pid(connection) != before
    finally:
        await other.close()
        await database.close()


async def test_a_connection_in_the_middle_of_something_is_not_used_for_anything_else(databases: dict[str, str]) -> None:
    database = Database(databases["booking"])
    try:
        async with database.session() as connection:
            slow = asyncio.create_task(run(connection, "SELECT pg_sleep(0.2)"))
            await asyncio.sleep(0)
            with pytest.raises(InterfaceError, match="another operation is in progress"):
                await rows(connection, "SELECT 1 AS one")
            await slow
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("sql", "value", "told"),
    [
        ("INSERT INTO phones VALUES (:one), (:one)", "+15185550123", "phones_phone_key"),
        ("SELECT CAST(CAST(:one AS text) AS int)", "+15185550123", "out of range"),
        ("SELECT CAST(CAST(:one AS text) AS boolean)", "+15185550123", "invalid input syntax"),
        ("SELECT CAST(:one AS int)", "+15185550123", "invalid input for query argument"),
    ],
)
async def test_an_error_quotes_no_value(databases: dict[str, str], sql: str, value: str, told: str) -> None:
    database = Database(databases["reminders"])
    try:
        with pytest.raises(PostgresError, match=told) as refused:  # noqa: PT012 - it is raised on the way
            async with database.begin() as connection:
                await run(connection, "CREATE TEMPORARY TABLE phones (phone text UNIQUE)")
                await run(connection, sql, one=value)
        assert "5550123" not in str(refused.value)
    finally:
        await database.close()


async def test_a_statement_that_takes_too_long_is_given_up(
    databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.postgres.pool.PATIENCE", 0.2)
    database = Database(databases["booking"])
    try:
        with pytest.raises(TimeoutError):
            async with database.begin() as connection:
                await run(connection, "SELECT pg_sleep(60)")
        async with database.begin() as connection:
            assert await rows(connection, "SELECT 1 AS one") == [(1,)]
    finally:
        await database.close()


async def pid(connection: Connection) -> int:
    """Which of the server's processes it talks to."""
    (row,) = await rows(connection, "SELECT pg_backend_pid() AS pid")
    return int(row.pid)
