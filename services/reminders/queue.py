"""The texts as a queue: which are due, who sends them, what came of it. SQL for `dispatch`.

Claiming takes its locks with SKIP LOCKED and waits for nobody; two processes never get the same text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reminders.contact import Contact
from services.reminders.store import load_contacts
from shared.database import Writes, rows

_SENDABLE: Final = """FROM texts t JOIN courses c USING (course_id)
    WHERE t.state = 'scheduled' AND c.location = ANY(CAST(:served AS text[]))
    AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.status = 'open' AND d.aggregate = 'course:' || t.course_id)"""
"""Waiting texts of clinics that are served and of courses that no dead letter holds back."""


async def next_look(connection: AsyncConnection, served: Sequence[str]) -> datetime | None:
    """The earliest instant at which a text must be looked at, or a dead process's lease runs out."""
    found = await rows(
        connection,
        f"""SELECT least((SELECT t.look_at {_SENDABLE} ORDER BY t.look_at LIMIT 1),
                         (SELECT min(lease_until) FROM texts WHERE state = 'sending')) AS instant""",
        served=list(served),
    )
    instant: datetime | None = found[0].instant
    return instant


async def claim_due(
    connection: AsyncConnection, until: datetime, served: Sequence[str], batch: int
) -> list[tuple[UUID, UUID, int]]:
    """Course, id and earlier attempts of texts due until an instant, locked with their courses; `day_of` goes first.

    What another transaction has locked is left to the next pass.
    """
    found = await rows(
        connection,
        f"""SELECT t.course_id, t.text_id, t.attempts {_SENDABLE} AND t.look_at <= :until
            ORDER BY t.kind <> 'day_of', t.look_at LIMIT :batch FOR UPDATE OF t, c SKIP LOCKED""",
        until=until,
        served=list(served),
        batch=batch,
    )
    return [(row.course_id, row.text_id, row.attempts) for row in found]


async def contacts_at_rest(connection: AsyncConnection, ids: Sequence[str]) -> tuple[dict[str, Contact], set[str]]:
    """Contacts, kept from changing until this transaction ends, and the ids of those that are just being changed."""
    still = await load_contacts(connection, ids, "FOR SHARE OF contacts SKIP LOCKED")
    there = await rows(
        connection, "SELECT contact_id FROM contacts WHERE contact_id = ANY(CAST(:ids AS text[]))", ids=list(ids)
    )
    return still, {row.contact_id for row in there} - set(still)


def update_texts(writes: Writes, changes: Sequence[Mapping[str, Any]]) -> None:
    """Set the same columns of many texts, which are locked or ours by their attempt.

    Args:
        changes: each with `text_id` and the columns to set, all with the same ones.
    """
    if changes:
        writes.update("texts", list(changes[0]), changes, key=["text_id"])


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A text whose attempt has no outcome on record yet."""

    course_id: UUID
    text_id: UUID


async def unsettled(connection: AsyncConnection, attempt_ids: Iterable[UUID]) -> dict[UUID, Unsettled]:
    """Of these attempts those without an outcome, by attempt, locked; a lease that ran out is none."""
    found = await rows(
        connection,
        """SELECT attempt_id, course_id, text_id FROM texts
           WHERE attempt_id = ANY(CAST(:ids AS uuid[])) AND state IN ('sending', 'unknown')
           ORDER BY text_id FOR UPDATE""",
        ids=list(attempt_ids),
    )
    return {row.attempt_id: Unsettled(row.course_id, row.text_id) for row in found}


async def take_lapsed(connection: AsyncConnection, now: datetime) -> list[Unsettled]:
    """Texts whose process died between its attempt and the outcome; nobody can tell any more what became of them."""
    found = await rows(
        connection,
        """UPDATE texts SET state = 'unknown', lease_until = NULL WHERE text_id IN (
               SELECT text_id FROM texts WHERE state = 'sending' AND lease_until <= :now FOR UPDATE SKIP LOCKED)
           RETURNING course_id, text_id""",
        now=now,
    )
    return [Unsettled(row.course_id, row.text_id) for row in found]
