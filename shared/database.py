"""PostgreSQL: one engine a service, one transaction a batch, and few round trips in it: a small batch is made of them.

What lives here is plumbing; the SQL of a service stands in its `store.py`, the SQL of the road in the kit's rooms.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import CursorResult, ExceptionContext, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
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


def with_password(url: str, password: SecretStr | None) -> str:
    """A database's URL with its role's password, where one stands apart."""
    if password is None:
        return url
    return make_url(url).set(password=password.get_secret_value()).render_as_string(hide_password=False)


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
            pool_use_lifo=True,  # the connection that was used last has its statements prepared
            hide_parameters=True,  # or an error would quote values into the log
            connect_args={"server_settings": {"jit": "off"}},  # compiling costs more than any of our statements
        )

        event.listen(self._engine.sync_engine, "checkout", _is_alive)
        event.listen(self._engine.sync_engine, "handle_error", _mistrust)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; commits at the end, rolls back when something is raised."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncConnection]:
        """One connection in autocommit, for a single look, or for a lock that is held longer than a transaction."""
        async with self._engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()


def _is_alive(connection: Any, *_: object) -> None:
    """The pool gives another connection instead of one that the server has closed; asking the server costs a trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _mistrust(context: ExceptionContext) -> None:
    """What the server did not say, the connection itself suffers from: it is not used again."""
    if not getattr(context.original_exception, "sqlstate", None):
        context.is_disconnect = True


_text = lru_cache(maxsize=None)(text)  # statements are made of our own words only: there are few


async def rows(connection: AsyncConnection, sql: str, **parameters: Any) -> Sequence[Any]:
    """All rows of a query; lists are bound as arrays."""
    return (await connection.execute(_text(sql), parameters)).all()


async def run(connection: AsyncConnection, sql: str, **parameters: Any) -> CursorResult[Any]:
    """Execute one statement."""
    return await connection.execute(_text(sql), parameters)


async def take(connection: AsyncConnection, table: str, key: str, ids: Iterable[Any], kind: str, **fresh: str) -> None:
    """Lock rows by their key, those first made that are not there: so two transactions about something new meet, too.

    Args:
        kind: PostgreSQL's name for the key's type.
        fresh: what a new row has in its other columns, as SQL.
    """
    wanted = sorted(ids)
    columns, values = ", ".join((key, *fresh)), ", ".join(("id", *fresh.values()))
    taken = 0
    while taken < len(wanted):  # who was made by another meanwhile is not seen by the first look
        taken = len(
            await rows(
                connection,
                f"""WITH made AS (
                        INSERT INTO {table} ({columns}) SELECT {values} FROM unnest(CAST(:ids AS {kind}[])) AS id
                        WHERE NOT EXISTS (SELECT FROM {table} WHERE {key} = id) ORDER BY id
                        ON CONFLICT DO NOTHING RETURNING {key}),
                    there AS (
                        SELECT {key} FROM {table} WHERE {key} = ANY(CAST(:ids AS {kind}[])) ORDER BY {key} FOR UPDATE)
                    SELECT {key} FROM made UNION ALL SELECT {key} FROM there""",
                ids=wanted,
            )
        )


def nested(table: str, columns: Iterable[str], where: str, order: str) -> str:
    """SQL for a column that holds another table's rows, each a tuple of these columns."""
    return f"ARRAY(SELECT r FROM (SELECT {', '.join(columns)} FROM {table} WHERE {where} ORDER BY {order}) r)"


Rows = Sequence[Mapping[str, Any]]
"""Rows as plain values, instants, ids and dataclasses, by their columns' names."""


class Writes:
    """What a transaction writes down, gathered first and then sent in one round trip.

    The parts become one statement. They see the database as it was before it, come in no order, and no two of them may
    write the same row; where that matters, `then` begins another statement.
    """

    def __init__(self) -> None:
        self._statements: list[list[tuple[str, Mapping[str, Any]]]] = [[]]

    def add(self, sql: str, **parameters: Any) -> None:
        """An INSERT, UPDATE or DELETE; lists are bound as arrays."""
        self._statements[-1].append((sql, parameters))

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        new: Iterable[Mapping[str, Any]],
        key: Sequence[str] = (),
        unless: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Insert many rows, in their order; the table itself gives the types.

        Args:
            columns: every column that is written.
            key: the columns of the primary key, where rows that are there already shall be replaced.
            unless: SQL for columns that are replaced by something else than what is new.
        """
        added = list(new)
        if not added:
            return
        names = ", ".join(columns)
        changes = ", ".join(f"{c} = {unless.get(c, f'excluded.{c}')}" for c in columns if c not in key)
        self.add(
            f"INSERT INTO {table} ({names}) SELECT {names}"
            f" FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json))"
            + (f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}" if key else ""),
            rows=to_json(added).decode(),
        )

    def update(self, table: str, columns: Sequence[str], changed: Rows, key: Sequence[str]) -> None:
        """Replace columns of many rows that are there; cheaper than `insert`, which must look first.

        Args:
            columns: every column that is written, and the key.
            key: the columns of the primary key.
        """
        if changed:
            self.add(
                f"UPDATE {table} SET {', '.join(f'{c} = n.{c}' for c in columns if c not in key)}"
                f" FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json)) AS n"
                f" WHERE {' AND '.join(f'{table}.{c} = n.{c}' for c in key)}",
                rows=to_json(changed).decode(),
            )

    def then(self) -> None:
        """What is added from here on is written after what was added before."""
        if self._statements[-1]:
            self._statements.append([])

    async def run(self, connection: AsyncConnection) -> None:
        """Send it."""
        for parts in self._statements:
            if parts:
                parameters = {
                    f"{name}_{number}": value for number, (_, of) in enumerate(parts) for name, value in of.items()
                }
                await run(connection, _together(tuple(sql for sql, _ in parts)), **parameters)


@cache
def _together(parts: tuple[str, ...]) -> str:
    numbered = (re.sub(r"(?<!:):(\w+)", rf":\1_{number}", sql) for number, sql in enumerate(parts))
    return f"WITH {', '.join(f'part_{number} AS ({sql})' for number, sql in enumerate(numbered))} SELECT"


def to_json(value: Any) -> bytes:
    """JSON for `Writes`, of plain values, dataclasses, instants and ids."""
    return orjson.dumps(value, default=_id)


def _id(value: object) -> str:
    if isinstance(value, UUID):  # the driver's are a class of their own
        return str(value)
    raise TypeError(f"{type(value).__name__} is no value of a column")
