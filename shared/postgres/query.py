"""Queries and statements with named parameters, on asyncpg."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

import asyncpg

from shared.postgres.values import Connection


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
