"""Rows are written the same, however many there are; what cannot be is refused and not quoted."""

from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import PostgresError

from shared.contract.closed_sets import SessionState
from shared.postgres.pool import REFUSED, Database, sqlstate
from shared.postgres.query import rows, run
from shared.postgres.writes import MANY, PIECE, Writes

PEOPLE: Final = """CREATE TEMPORARY TABLE people (
    id uuid PRIMARY KEY, "grant" int, since timestamptz, state text, told json NOT NULL)"""
COLUMNS: Final = ("id", '"grant"', "since", "state", "told")


def person(number: int, **changed: Any) -> dict[str, Any]:
    """A row of PEOPLE."""
    row = {
        "id": UUID(int=number),
        "grant": number % 3 or None,
        "since": datetime(2026, 12, 1, 9, number % 60, tzinfo=UTC),
    }
    return row | {"state": SessionState.HELD, "told": [(UUID(int=number), "a\tb\\N")]} | changed


@pytest.mark.parametrize("count", [0, 1, MANY - 1, MANY, 3 * MANY])
async def test_new_rows_are_the_same_however_many_there_are(databases: dict[str, str], count: int) -> None:
    database = Database(databases["booking"])
    try:
        async with database.begin() as connection:
            await run(connection, PEOPLE)
            writes = Writes()
            writes.append("people", COLUMNS, (person(number) for number in range(count)))
            await writes.run(connection)
            found = await rows(connection, f"SELECT {', '.join(COLUMNS)} FROM people ORDER BY id")
            wanted = [person(number, told=[[str(UUID(int=number)), "a\tb\\N"]]) for number in range(count)]
            assert [dict(row) for row in found] == wanted
    finally:
        await database.close()


@pytest.mark.parametrize("count", [1, MANY])
async def test_new_rows_come_before_what_is_written_then(databases: dict[str, str], count: int) -> None:
    database = Database(databases["booking"])
    try:
        async with database.begin() as connection:
            await run(connection, PEOPLE)
            await run(connection, "CREATE TEMPORARY TABLE friends (id uuid REFERENCES people, since date)")
            writes = Writes()
            writes.insert("people", COLUMNS, [person(number) for number in range(count)])
            friends = [{"id": UUID(int=number), "since": date(2026, 12, 1)} for number in range(count)]
            writes.append("friends", ("id", "since"), friends)
            writes.then()
            writes.add("DELETE FROM friends WHERE id = :id", id=UUID(int=0))
            await writes.run(connection)
            assert len(await rows(connection, "SELECT id FROM friends")) == count - 1
    finally:
        await database.close()


async def test_many_new_rows_come_in_pieces_that_keep_together_what_is_of_one(databases: dict[str, str]) -> None:
    database = Database(databases["booking"])
    try:
        async with database.begin() as connection:
            await run(connection, "CREATE TEMPORARY TABLE parts (of int, number int)")
            await run(connection, "CREATE TEMPORARY TABLE pieces (rows int, ofs int[])")
            await connection.execute(COUNTED)
            writes = Writes()
            rows_of = [(of, number) for of in range(PIECE) for number in range(3)]
            writes.append("parts", ("of", "number"), ({"of": of, "number": number} for of, number in rows_of))
            await writes.run(connection)
            assert [tuple(row) for row in await rows(connection, "SELECT of, number FROM parts")] == rows_of
            pieces = await rows(connection, "SELECT rows, ofs FROM pieces")
            assert [piece.rows for piece in pieces] == [PIECE + 2, PIECE + 2, PIECE - 4]
            assert sum(len(piece.ofs) for piece in pieces) == PIECE, "none is in two"
    finally:
        await database.close()


COUNTED: Final = """
CREATE FUNCTION pg_temp.counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO pieces SELECT count(*), array_agg(DISTINCT of) FROM new; RETURN NULL; END $$;
CREATE TRIGGER counted AFTER INSERT ON parts REFERENCING NEW TABLE AS new
    FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.counted();
"""


@pytest.mark.parametrize("count", [2, MANY])
@pytest.mark.parametrize(
    "wrong",
    [
        {"id": UUID(int=0)},
        {"id": 15185550123},
        {"grant": "+15185550123"},
        {"grant": 15185550123},
        {"since": "+15185550123"},
    ],
    ids=str,
)
async def test_new_rows_that_cannot_be_are_refused_and_not_quoted(
    databases: dict[str, str], count: int, wrong: dict[str, Any]
) -> None:
    database = Database(databases["booking"])
    try:
        with pytest.raises(PostgresError) as refused:  # noqa: PT012 - it is raised on the way
            async with database.begin() as connection:
                await run(connection, PEOPLE)
                writes = Writes()
                writes.append("people", COLUMNS, [*map(person, range(count - 1)), person(count, **wrong)])
                await writes.run(connection)
        assert sqlstate(refused.value).startswith(REFUSED)
        assert "5550123" not in str(refused.value)
        async with database.begin() as connection:
            assert (await rows(connection, "SELECT 1 AS one"))[0].one == 1
    finally:
        await database.close()
