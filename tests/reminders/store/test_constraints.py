"""What the database itself refuses."""

import pytest
from asyncpg import PostgresError

from shared.postgres.query import run
from tests.stand_ins.reminders_rig import Rig


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET allowed = false",
        "DELETE FROM consents",
        "UPDATE texts SET state = 'sent'",
        "UPDATE texts SET state = 'sending'",
        "UPDATE texts SET state = 'suppressed'",
        "UPDATE courses SET location = NULL",
        "DROP TABLE texts",
        "UPDATE numbers SET erased = true",
        "DELETE FROM numbers",
        "UPDATE texts SET state = 'delivered'",
        "UPDATE texts SET course_id = NULL",
        "UPDATE texts SET tells = '[[1, 2]]'",
        "UPDATE texts SET search_at = now()",
        "INSERT INTO pauses (scope, subject, paused_at, paused_by, reason) VALUES ('all', 'x', now(), 'y', 'z')",
    ],
)
async def test_the_database_refuses_what_must_not_be(rig: Rig, statement: str) -> None:
    await rig.planned()
    with pytest.raises(PostgresError):
        async with rig.database.begin() as connection:
            await run(connection, statement)
