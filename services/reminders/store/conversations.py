"""Phones, and what was said on them: SQL for conversations.

A conversation has an id of its own, which says nothing of its number: ids stand in keys, logs and dead letters.
Locks are taken as everywhere: the conversation's row, then its contacts.
"""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.reminders.people.conversation import Conversation, Newest, ReplyCame, Visit
from services.reminders.rules.decide import aggregate_of
from services.reminders.rules.outcome import Report
from shared.contract.closed_sets import Intent
from shared.decision.message import Message
from shared.postgres.query import rows, run
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

_REPLY: Final = ("sid", "conversation_id", "contact_id", "course_id", "session_id", "intent", "body", "received_at")


async def conversation_with(connection: Connection, phone: str) -> UUID:
    """The id of the conversation on a phone, made where it is the first."""
    found = await rows(
        connection,
        """WITH made AS (INSERT INTO phones (phone) SELECT :phone
                         WHERE NOT EXISTS (SELECT FROM phones WHERE phone = :phone)
                         ON CONFLICT DO NOTHING RETURNING conversation_id)
           SELECT conversation_id FROM made UNION ALL SELECT conversation_id FROM phones WHERE phone = :phone""",
        phone=phone,
    )
    if not found:  # another made it at this moment
        return await conversation_with(connection, phone)
    id: UUID = found[0].conversation_id
    return id


async def load(connection: Connection, messages: Sequence[Message]) -> dict[str, Conversation]:
    """The conversations in which something was said, by aggregate, locked; with who is on the phone and its visits."""
    said = {aggregate_of(m): m for m in messages if isinstance(m.data, ReplyCame)}
    if not said:
        return {}
    ids = {aggregate: message.data.key for aggregate, message in said.items()}
    found = await rows(
        connection,
        """SELECT conversation_id, phone, asked, asked_at, answered FROM phones
           WHERE conversation_id = ANY(CAST(:ids AS uuid[])) ORDER BY conversation_id FOR UPDATE""",
        ids=sorted(set(ids.values())),
    )
    by_id = {str(row.conversation_id): row for row in found}
    return {
        aggregate: await _one(connection, by_id[ids[aggregate]], message.arrived_at)
        for aggregate, message in said.items()
    }


async def _one(connection: Connection, row: Any, now: datetime) -> Conversation:
    """One conversation; replies come one by one, so it may take its own statements."""
    people = await rows(
        connection,
        "SELECT contact_id FROM contacts WHERE phone = :phone ORDER BY kind = 'companion', contact_id FOR UPDATE",
        phone=row.phone,
    )
    ids = [person.contact_id for person in people]
    heard = "t.contact_id = ANY(CAST(:ids AS text[])) AND t.state IN ('sent', 'delivered')"
    visits = await rows(
        connection,
        f"""SELECT DISTINCT t.contact_id, s.course_id, s.session_id, s.starts_at, c.location
            FROM texts t JOIN sessions s ON s.course_id = t.course_id
                 AND (s.session_id = t.session_id OR t.kind IN ('booked', 'companion_notice'))
            JOIN courses c ON c.course_id = s.course_id
            WHERE {heard} AND s.state = 'confirmed' AND s.starts_at > :now
            ORDER BY s.starts_at, t.contact_id, s.session_id""",
        ids=ids,
        now=now,
    )
    newest = await rows(
        connection,
        f"""SELECT t.contact_id, t.course_id, coalesce(t.location, c.location) AS location
            FROM texts t LEFT JOIN courses c USING (course_id)
            WHERE {heard} ORDER BY t.sent_at DESC, t.course_id LIMIT 1""",
        ids=ids,
    )
    return Conversation(
        conversation_id=row.conversation_id,
        phone=row.phone,
        people=tuple(ids),
        visits=tuple(Visit(*visit) for visit in visits),
        newest=Newest(*newest[0]) if newest else None,
        asked=Intent(row.asked) if row.asked else None,
        asked_at=row.asked_at,
        answered=tuple(row.answered),
    )


async def stopped_on(connection: Connection, numbers: Sequence[str], but: Container[str]) -> list[str]:
    """Who else has one of these numbers and has opted out: it counts for everybody on the phone."""
    found = await rows(
        connection,
        "SELECT contact_id FROM contacts WHERE phone = ANY(CAST(:numbers AS text[])) AND opted_out",
        numbers=list(numbers),
    )
    return [row.contact_id for row in found if row.contact_id not in but]


def save(writes: Writes, conversations: Sequence[Conversation]) -> None:
    """Write down what was said, and what we asked."""
    heads = [
        {"conversation_id": c.conversation_id, "asked": c.asked, "asked_at": c.asked_at, "answered": c.answered}
        for c in conversations
    ]
    writes.update("phones", ("conversation_id", "asked", "asked_at", "answered"), heads, key=("conversation_id",))
    replies = [{"conversation_id": c.conversation_id} | reply._asdict() for c in conversations for reply in c.unsaved]
    writes.insert("replies", _REPLY, replies)


def forget(writes: Writes, contact_ids: Iterable[str]) -> None:
    """What erased people wrote, and numbers that were theirs and are nobody else's."""
    ids = list(contact_ids)
    writes.add(
        """UPDATE phones SET phone = NULL
           WHERE (phone IN (SELECT phone FROM contacts WHERE contact_id = ANY(CAST(:ids AS text[])))
                  OR conversation_id IN (SELECT conversation_id FROM replies WHERE contact_id = ANY(:ids)))
           AND NOT EXISTS (SELECT FROM contacts o WHERE o.phone = phones.phone AND o.contact_id <> ALL(:ids))""",
        ids=ids,
    )
    writes.add("UPDATE replies SET body = NULL WHERE contact_id = ANY(CAST(:ids AS text[]))", ids=ids)


_SHOWN: Final = """SELECT r.sid, r.contact_id, r.course_id, r.session_id, r.intent, r.body, r.received_at,
                          CASE WHEN r.contact_id IS NULL THEN p.phone END AS phone
                   FROM replies r JOIN phones p USING (conversation_id)"""


async def replies(
    connection: Connection, contact_id: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """What people wrote, or one person, newest first.

    Args:
        before: the SID of the reply behind which to go on.
    """
    found = await rows(
        connection,
        f"""{_SHOWN} WHERE (CAST(:contact AS text) IS NULL OR r.contact_id = :contact)
            AND (CAST(:before AS text) IS NULL
                 OR (r.received_at, r.sid) < (SELECT b.received_at, b.sid FROM replies b WHERE b.sid = :before))
            ORDER BY r.received_at DESC, r.sid DESC LIMIT :limit""",
        contact=contact_id,
        before=before,
        limit=limit,
    )
    return [dict(row) for row in found]


async def reply(connection: Connection, sid: str) -> dict[str, Any] | None:
    """One reply, or None."""
    found = await rows(connection, f"{_SHOWN} WHERE r.sid = :sid", sid=sid)
    return dict(found[0]) if found else None


async def keep_stray(connection: Connection, report: Report, now: datetime) -> None:
    """What the provider says of a message that is none of ours: kept once, whatever it is."""
    await run(
        connection,
        """INSERT INTO stray_reports (sid, status, code, attempt_id, reported_at)
           VALUES (:sid, :status, :code, :attempt, :now) ON CONFLICT DO NOTHING""",
        sid=report.sid,
        status=report.status,
        code=report.code or "",
        attempt=report.attempt_id,
        now=now,
    )
