"""PostgreSQL: one pool of connections a service, and one transaction a batch with few round trips, as most of the time
of a small batch is theirs.

No SQL of a table stands here: a service's is in its `store/`, that of the tables which all services have in
`shared/tables/`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
import orjson
from asyncpg import DataError, InterfaceError, InternalClientError, PostgresError
from pydantic import SecretStr
from sqlalchemy import make_url

from shared.postgres.values import Connection, to_json

DEADLOCK: Final = frozenset({"40P01", "40001"})
"""Two transactions stood in each other's way: the same again will do."""

RACED: Final = frozenset({"23505", "23P01"})
"""A row that was not there when we looked (unique, exclusion): look again, one message at a time."""

REFUSED: Final = ("22", "23")
"""Classes of states in which PostgreSQL refuses the data itself: trying again does not help."""

TROUBLE: Final = (PostgresError, InterfaceError, InternalClientError, OSError)
"""What a database raises that is away, going away, or coming back; a refusal is among it."""

PATIENCE: Final = 300
"""Seconds that one statement may take, as long as the group waits for our next poll: a server that is gone without a
word is noticed."""

WAIT: Final = 30
"""Seconds that a task waits for one of the pool's connections."""

SPARE: Final = 5
"""Connections beyond the pool's size while many are needed at once."""


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-character code, or an empty string where the connection itself failed."""
    return str(getattr(error, "sqlstate", None) or "")


def with_password(url: str, password: SecretStr | None) -> str:
    """A database's URL with its role's password, where one stands apart."""
    if password is None:
        return url
    return make_url(url).set(password=password.get_secret_value()).render_as_string(hide_password=False)


class Database:
    """A service's own database.

    Args:
        url: `postgresql://role:password@host:port/name`, or with `?host=/directory` for a socket.
        pool_size: connections that are in use at the same time, usually.
    """

    def __init__(self, url: str, pool_size: int = 5) -> None:
        self._url = url
        self._most = pool_size + SPARE
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """One transaction; commits at the end, rolls back when something is raised."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=WAIT) as connection:
            with _quoting_nothing():
                async with connection.transaction():
                    yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """One connection in autocommit, for a single look, or for a lock that is held longer than a transaction."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=WAIT) as connection:
            with _quoting_nothing():
                yield connection

    async def ping(self) -> None:
        """Have a transaction answered.

        Raises:
            what is in `TROUBLE`: the database is away.
        """
        async with self.begin() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Give all connections back."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._most,
                    max_queries=1_000_000_000,  # a connection that is replaced must prepare its statements again
                    command_timeout=PATIENCE,
                    statement_cache_size=500,
                    max_cached_statement_lifetime=0,  # for ever
                    max_cacheable_statement_size=0,  # whatever its size
                    server_settings={"jit": "off"},  # compiling costs more than any of our statements
                    init=read_json,
                    reset=_nothing_to_reset,
                )
            return self._pool


async def read_json(connection: Connection) -> None:
    """Let a connection take JSON that is written out, or a column's value; COPY takes it in the binary format only."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=_written_out, decoder=orjson.loads, format="binary"
    )
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=orjson.loads)


def _written_out(json: Any) -> bytes:
    return json if isinstance(json, bytes) else json.encode() if isinstance(json, str) else to_json(json)


async def _nothing_to_reset(connection: Connection) -> None:
    """Whoever changes a session closes it: asking the server to forget would cost a round trip each time."""


@contextmanager
def _quoting_nothing() -> Iterator[None]:
    """An error's detail quotes values, and so does the text of what is no value; they may be personal, and logged."""
    try:
        yield
    except PostgresError as error:
        error.detail = None
        if isinstance(error, DataError):
            error.args = (re.sub('"[^"]*"', '"..."', str(error).partition(":")[0]),)
        raise
