"""SQL of texts that were handed to the provider: their attempts, and what a database that was set back knows of them.

A text's course is locked before the text (`courses.lock_courses`).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.reminders.rules.outcome import Attempted, Report
from services.reminders.store.texts import READ, text_from_row
from services.reminders.text.provider import Sought
from services.reminders.text.text import Text
from shared.postgres.query import rows, run
from shared.postgres.values import Connection


class Lost(NamedTuple):
    """A text of which nobody here can tell whether it went out."""

    course_id: UUID | None
    text_id: UUID
    contact_id: str


async def take_lapsed(connection: Connection, now: datetime, traceable: bool) -> list[Lost]:
    """Texts whose lease has run out: only the provider can tell any more what became of them."""
    found = await rows(
        connection,
        """UPDATE texts SET state = 'unknown', lease_until = NULL, code = 'lapsed',
                            search_at = CASE WHEN :traceable THEN CAST(:now AS timestamptz) END
           WHERE text_id IN (
               SELECT text_id FROM texts WHERE state = 'sending' AND lease_until <= :now FOR UPDATE SKIP LOCKED)
           RETURNING course_id, text_id, contact_id""",
        now=now,
        traceable=traceable,
    )
    return [Lost(*row) for row in found]


async def without_outcome(connection: Connection, attempt_ids: Sequence[UUID]) -> set[UUID]:
    """Of these attempts those without an outcome, locked; a lease that ran out is none."""
    found = await rows(
        connection,
        """SELECT attempt_id FROM texts
           WHERE attempt_id = ANY(CAST(:ids AS uuid[])) AND state IN ('sending', 'unknown')
           ORDER BY text_id FOR UPDATE""",
        ids=list(attempt_ids),
    )
    return {row.attempt_id for row in found}


_REPORTED: Final = "attempt_id = :attempt OR provider_sid = :sid"


async def courses_reported(connection: Connection, report: Report) -> list[UUID | None]:
    """The course, None of an answer, of each text that a report names.

    None is named where the message is not ours; two are where our id stands beside the SID of another text.
    """
    found = await rows(
        connection, f"SELECT course_id FROM texts WHERE {_REPORTED}", attempt=report.attempt_id, sid=report.sid
    )
    return [row.course_id for row in found]


async def reported(connection: Connection, report: Report) -> Attempted:
    """The attempt that a report names, locked.

    Raises:
        ValueError: it does not name exactly one.
    """
    (attempted,) = await _attempted(connection, _REPORTED, attempt=report.attempt_id, sid=report.sid)
    return attempted


async def due_for_search(connection: Connection, until: datetime, most: int) -> list[Attempted]:
    """Attempts to look for in the provider's list, the longest due first; locked, without those that others have."""
    order = "ORDER BY search_at LIMIT :most"
    return await _attempted(connection, "search_at <= :until", order, "SKIP LOCKED", until=until, most=most)


async def _attempted(
    connection: Connection, where: str, order: str = "", lock: str = "", **bound: object
) -> list[Attempted]:
    found = await rows(
        connection,
        f"""SELECT course_id, attempt_id, attempts, attempted_at, segments, provider_sid, provider_status,
                   {", ".join(READ)} FROM texts WHERE {where} {order} FOR UPDATE {lock}""",
        **bound,
    )
    attempts = []
    for course_id, attempt_id, number, attempted_at, count, sid, status, *columns in found:
        text = text_from_row(columns)
        attempts.append(Attempted(course_id, text, attempt_id, number, attempted_at, count, text.sent_on, sid, status))
    return attempts


async def sought(connection: Connection, wanted: Set[UUID], clinics: Mapping[str, str]) -> dict[UUID, Sought]:
    """What to look for, by attempt; what could be taken for another attempt of unknown outcome is not looked for.

    Args:
        clinics: the clinic of each location that is served.
    """
    found = await rows(
        connection,
        """SELECT t.attempt_id, t.attempted_at, t.body, k.phone, coalesce(c.location, t.location) AS location
           FROM texts t JOIN contacts k USING (contact_id) LEFT JOIN courses c USING (course_id)
           WHERE t.state IN ('unknown', 'sending') AND k.phone IS NOT NULL""",
    )
    alike = Counter((row.phone, row.body) for row in found)
    return {
        row.attempt_id: Sought(clinics[row.location], row.phone, row.body, row.attempted_at)
        for row in found
        if row.attempt_id in wanted and alike[row.phone, row.body] == 1 and row.location in clinics
    }


async def known_sids(connection: Connection, sids: Collection[str]) -> set[str]:
    """Of the provider's ids those that are a text's already."""
    found = await rows(
        connection,
        "SELECT provider_sid FROM texts WHERE provider_sid = ANY(CAST(:sids AS text[]))",
        sids=list(sids),
    )
    return {row.provider_sid for row in found}


# A database that was set back -----------------------------------------------------------------------------------------


async def release_claimed(connection: Connection) -> None:
    """What was being sent waits again: whoever was sending it is gone."""
    await run(
        connection, "UPDATE texts SET state = 'scheduled', lease_until = NULL, sent_on = NULL WHERE state = 'sending'"
    )


async def end_searches_for_recalled(connection: Connection) -> None:
    """What our own topic tells of is looked for no more."""
    await run(connection, "UPDATE texts SET search_at = NULL WHERE recalled_at IS NOT NULL AND search_at IS NOT NULL")


async def may_have_gone_out(
    connection: Connection, until: datetime, earlier: timedelta
) -> list[tuple[UUID | None, Text]]:
    """Waiting texts that may have gone out up to an instant, each with its course, in order; locked.

    Args:
        earlier: by how much quiet hours bring a text forward, at most.
    """
    found = await rows(
        connection,
        f"""SELECT course_id, {", ".join(READ)} FROM texts
            WHERE state = 'scheduled' AND least(due_at, look_at) <= :until
              AND least(due_at, nominal_at - CAST(:earlier AS interval)) <= :until ORDER BY due_at FOR UPDATE""",
        until=until,
        earlier=earlier,
    )
    return [(course_id, text_from_row(columns)) for course_id, *columns in found]
