"""PostgreSQL: one pool a service, one transaction a batch, and few round trips in it: a small batch is made of them.

What lives here is plumbing; the SQL of a service stands in its `store.py`, the SQL of the road in the kit's rooms.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from asyncpg import DataError, InterfaceError, InternalClientError, PostgresError
from pydantic import SecretStr
from sqlalchemy import make_url

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

MANY: Final = 100
"""From so many rows on COPY is worth its round trips."""

PIECE: Final = 1000
"""Rows in one COPY: asyncpg waits without any time-out for a server that has not taken the first half megabyte."""

SPARE: Final = 5
"""Connections beyond the pool's size while many are needed at once."""

Connection: TypeAlias = Any
"""One of asyncpg's connections, in a transaction or in autocommit."""


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


@cache
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A statement with `$1` for `:name`, and the names; there are few, since they are made of our own words only."""
    names: dict[str, int] = {}
    numbered = re.sub(r"(?<!:):([a-z]\w*)", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", sql)
    return numbered, tuple(names)


async def rows(connection: Connection, sql: str, **parameters: Any) -> Sequence[Any]:
    """All rows of a query, their columns as attributes; lists are bound as arrays."""
    numbered, names = _numbered(sql)
    kind = _kinds.get(sql)
    if kind is None:
        columns = tuple(column.name for column in (await connection.prepare(numbered)).get_attributes())
        kind = _kinds[sql] = _row(columns)
    found: list[Any] = await connection.fetch(numbered, *[parameters[name] for name in names], record_class=kind)
    return found


_kinds: Final[dict[str, type[asyncpg.Record]]] = {}
"""What each query's rows are."""


@cache
def _row(columns: tuple[str, ...]) -> type[asyncpg.Record]:
    """Rows with these columns as attributes, found as fast as a named tuple's."""
    attributes = {column: property(itemgetter(number)) for number, column in enumerate(columns)}
    return type("Row", (asyncpg.Record,), {"__slots__": (), **attributes})


async def run(connection: Connection, sql: str, **parameters: Any) -> int:
    """Execute one statement; returns how many rows it wrote."""
    numbered, names = _numbered(sql)
    status: str = await connection.execute(numbered, *[parameters[name] for name in names])
    count = status.rpartition(" ")[2]
    return int(count) if count.isdigit() else 0


async def take(connection: Connection, table: str, key: str, ids: Iterable[Any], kind: str, **fresh: str) -> None:
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


class _Step:
    """Parts of one statement, and what is copied after it: table, columns, rows."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, Mapping[str, Any]]] = []
        self.copied: list[tuple[str, Sequence[str], Rows]] = []


class Writes:
    """What a transaction writes down, gathered first and then sent in one round trip, but for many new rows (`append`).

    The parts become one statement. They see the database as it was before it, come in no order, and no two of them may
    write the same row; where that matters, `then` begins another statement.
    """

    def __init__(self) -> None:
        self._steps = [_Step()]

    def add(self, sql: str, **parameters: Any) -> None:
        """An INSERT, UPDATE or DELETE; lists are bound as arrays."""
        self._steps[-1].parts.append((sql, parameters))

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
            rows=to_json(added),
        )

    def append(self, table: str, columns: Sequence[str], new: Iterable[Mapping[str, Any]]) -> None:
        """Insert many rows that are not there, and to which nothing that is added beside them refers.

        Where they are many, COPY brings them after the statement: a row takes two thirds of PostgreSQL's time, and all
        of them two round trips more.
        """
        added = list(new)
        if len(added) < MANY:
            self.insert(table, columns, added)
        else:
            self._steps[-1].copied.append((table, columns, added))

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
                rows=to_json(changed),
            )

    def then(self) -> None:
        """What is added from here on is written after what was added before."""
        if self._steps[-1].parts or self._steps[-1].copied:
            self._steps.append(_Step())

    async def run(self, connection: Connection) -> None:
        """Send it."""
        for step in self._steps:
            if step.parts:
                parameters = {
                    f"{name}_{number}": value for number, (_, of) in enumerate(step.parts) for name, value in of.items()
                }
                await run(connection, _together(tuple(sql for sql, _ in step.parts)), **parameters)
            for table, columns, new in step.copied:
                await copy(connection, table, [column.strip('"') for column in columns], new)


async def copy(connection: Connection, table: str, columns: Sequence[str], new: Rows) -> None:
    """Add rows by COPY, a piece at a time; of two columns or more."""
    rows = list(map(itemgetter(*columns), new))
    try:
        for piece in _pieces(rows):
            await connection.copy_records_to_table(table, columns=columns, records=piece)
    except (AttributeError, OverflowError, TypeError, ValueError) as wrong:  # found by the driver: refused all the same
        raise DataError(f"a row of {table} has a value that is none of its column: {type(wrong).__name__}") from None


def _pieces(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Of about `PIECE` rows each; what follows one another with the same first column stays together."""
    begin = 0
    while begin < len(rows):
        end = begin + PIECE
        while end < len(rows) and rows[end][0] == rows[end - 1][0]:
            end += 1
        yield rows[begin:end]
        begin = end


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
