"""What a transaction writes down, gathered and sent in one round trip, and copies of many rows."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from asyncpg import DataError

from shared.postgres.query import run
from shared.postgres.values import Connection, to_json

MANY: Final = 100
"""From so many rows on COPY is worth its round trips."""

PIECE: Final = 1000
"""Rows in one COPY: asyncpg waits without any time-out for a server that has not taken the first half megabyte."""


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
