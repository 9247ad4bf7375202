"""Pauses: all texts, a clinic's, or a person's, stopped at once and until somebody says otherwise."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from services.reminders.rules.last_look import NONE, Pauses
from shared.postgres.query import rows, run
from shared.postgres.values import Connection

_LOCK: Final = 0x50415553
"""Advisory lock: a claim shares it to its end, so a pause waits for what was claimed before it, and stops the rest; and
the end of a pause finds all that was judged by it."""


class Scope(StrEnum):
    """What a pause stops."""

    ALL = "all"
    CLINIC = "clinic"
    CONTACT = "contact"


async def in_force(connection: Connection) -> Pauses:
    """What is paused; nobody can pause more before this transaction ends."""
    await run(connection, "SELECT pg_advisory_xact_lock_shared(:lock)", lock=_LOCK)
    found = {(row.scope, row.subject) for row in await rows(connection, _IN_FORCE)}
    if not found:
        return NONE
    return Pauses(
        (Scope.ALL, "") in found,
        frozenset(subject for scope, subject in found if scope == Scope.CLINIC),
        frozenset(subject for scope, subject in found if scope == Scope.CONTACT),
    )


_IN_FORCE: Final = """SELECT scope, subject, paused_at, paused_by, reason FROM pauses
                      WHERE resumed_at IS NULL ORDER BY paused_at, id"""


async def pause(connection: Connection, scope: Scope, subject: str, by: str, reason: str, now: datetime) -> bool:
    """Stop texts from here on; False where they were stopped already.

    Args:
        subject: the clinic or the contact; empty for all.
    """
    await run(connection, "SELECT pg_advisory_xact_lock(:lock)", lock=_LOCK)
    done = await run(
        connection,
        """INSERT INTO pauses (scope, subject, paused_at, paused_by, reason)
           VALUES (:scope, :subject, :now, :by, :reason) ON CONFLICT DO NOTHING""",
        scope=scope,
        subject=subject,
        now=now,
        by=by,
        reason=reason,
    )
    return done == 1


async def resume(connection: Connection, scope: Scope, subject: str, by: str, now: datetime) -> bool:
    """Let texts go again, those first that had waited; False where they were not stopped."""
    await run(connection, "SELECT pg_advisory_xact_lock(:lock)", lock=_LOCK)
    done = await run(
        connection,
        """UPDATE pauses SET resumed_at = :now, resumed_by = :by
           WHERE scope = :scope AND subject = :subject AND resumed_at IS NULL""",
        scope=scope,
        subject=subject,
        now=now,
        by=by,
    )
    if done:
        await run(
            connection,
            """UPDATE texts SET look_at = due_at
               WHERE state = 'scheduled' AND due_at <= :now AND look_at > :now""",
            now=now,
        )
    return done == 1


async def counted(connection: Connection) -> dict[tuple[str, ...], float]:
    """How many pauses are in force, by scope and clinic; persons are only counted."""
    found = await rows(
        connection,
        """SELECT scope, CASE scope WHEN 'clinic' THEN subject ELSE '' END AS clinic, count(*) AS n
           FROM pauses WHERE resumed_at IS NULL GROUP BY 1, 2""",
    )
    return {(row.scope, row.clinic): row.n for row in found}


async def listed(connection: Connection) -> list[dict[str, Any]]:
    """The pauses in force: what, since when, by whom and why."""
    return [dict(row) for row in await rows(connection, _IN_FORCE)]
