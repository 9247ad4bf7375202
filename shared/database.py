"""PostgreSQL: one engine a service, one transaction a batch.

What lives here is plumbing; the SQL of a service stands in its `store.py`, the SQL of the road in the kit's rooms.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from sqlalchemy import CursorResult, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

DEADLOCK: Final = frozenset({"40P01", "40001"})
"""Two transactions stood in each other's way: the same again will do."""

RACED: Final = frozenset({"23505", "23P01"})
"""A row that was not there when we looked (unique, exclusion): look again, one message at a time."""

REFUSED: Final = ("22", "23")
"""Classes of states in which PostgreSQL refuses the data itself: trying again does not help."""


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's five-character code, or an empty string where the connection itself failed."""
    return str(getattr(error.orig, "sqlstate", None) or "")


class Database:
    """A service's own database.

    Args:
        url: `postgresql://role:password@host:port/name`, or with `?host=/directory` for a socket.
        pool_size: connections kept, besides the relay's own.
    """

    def __init__(self, url: str, pool_size: int = 5) -> None:
        self._engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=5,
            pool_pre_ping=True,
            hide_parameters=True,  # or an error would quote values into the log
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; commits at the end, rolls back when something is raised."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncConnection]:
        """One connection in autocommit, for whoever holds a lock longer than a transaction."""
        async with self._engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()


async def rows(connection: AsyncConnection, sql: str, **parameters: Any) -> Sequence[Any]:
    """All rows of a query; lists are bound as arrays."""
    return (await connection.execute(text(sql), parameters)).all()


async def run(connection: AsyncConnection, sql: str, **parameters: Any) -> CursorResult[Any]:
    """Execute one statement."""
    return await connection.execute(text(sql), parameters)


Rows = Sequence[Mapping[str, Any]]
"""Rows as plain values, instants, ids and dataclasses, by their columns' names."""


async def write(
    connection: AsyncConnection, table: str, columns: Sequence[str], new: Rows, key: Sequence[str] = ()
) -> None:
    """Insert many rows in one statement, in their order; the table itself gives the types.

    Args:
        columns: every column that is written.
        key: the columns of the primary key, where rows that are there already shall be replaced.
    """
    if not new:
        return
    names = ", ".join(columns)
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    await run(
        connection,
        f"INSERT INTO {table} ({names}) SELECT {names}"
        f" FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json))"
        + (f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}" if key else ""),
        rows=to_json(new).decode(),
    )


async def update(
    connection: AsyncConnection, table: str, columns: Sequence[str], changed: Rows, key: Sequence[str]
) -> None:
    """Replace columns of many rows that are there, in one statement; cheaper than `write`, which must look first.

    Args:
        columns: every column that is written, and the key.
        key: the columns of the primary key.
    """
    if changed:
        await run(
            connection,
            f"UPDATE {table} SET {', '.join(f'{c} = n.{c}' for c in columns if c not in key)}"
            f" FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json)) AS n"
            f" WHERE {' AND '.join(f'{table}.{c} = n.{c}' for c in key)}",
            rows=to_json(changed).decode(),
        )


def to_json(value: Any) -> bytes:
    """JSON for `write`, of plain values, dataclasses, instants and ids."""
    return orjson.dumps(value, default=str)  # the driver's UUIDs are a class of their own
