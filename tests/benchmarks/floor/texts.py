"""Texts by hand: bare asyncpg and set-based SQL on the very tables of reminders, with their constraints.

What this must durably do to be a floor of what Chairtime promises:

- **a ladder**: the ids of what was heard, how far the topic was read, the sessions as they are now, one row a text,
  each out of quiet hours; one transaction a batch.
- **a text that is due**: claimed with SKIP LOCKED together with its course, so that no cancellation comes in between;
  looked at again (session, consent, number, hours, pauses, letters that hold it back); the attempt with its words,
  lease and consent committed before the call; the outcome and the event in the outbox committed after it.

It knows no rule for anything that goes another way: no text is late, suppressed, unsent or unknown, no number has a
rate.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import asyncpg
import orjson

from shared.decision.message import Record

BATCH: Final = 500
NAMESPACE: Final = UUID(int=1)
LADDER: Final = (
    ("preparation", timedelta(hours=72), timedelta(hours=26)),
    ("day_before", timedelta(hours=24), timedelta(hours=4)),
    ("day_of", timedelta(hours=2), timedelta(minutes=30)),
)
OPENS, CLOSES, LATEST = time(9), time(20), time(19, 45)


async def schedule(connection: asyncpg.Connection, heard: Sequence[Record], now: datetime) -> None:
    """Put the texts of confirmed sessions on the ladder."""
    for first in range(0, len(heard), BATCH):
        async with connection.transaction():
            await _schedule(connection, heard[first : first + BATCH], now)


async def _schedule(connection: asyncpg.Connection, batch: Sequence[Record], now: datetime) -> None:
    by_id = {dict(record.headers)["ce_id"].decode(): record for record in batch}  # type: ignore[union-attr]
    new = await connection.fetch(
        """INSERT INTO inbox (id, digest, type, received_at)
           SELECT id, digest, 'booking.session.confirmed.v1', $3 FROM unnest($1::text[], $2::bytea[]) AS n (id, digest)
           ON CONFLICT DO NOTHING RETURNING id""",
        list(by_id),
        [blake2b(record.value or b"", digest_size=16).digest() for record in batch],
        now,
    )
    told = [orjson.loads(by_id[row[0]].value or b"") for row in new]
    courses = {UUID(data["course_id"]): data for data in told}
    known = await connection.fetch(
        """SELECT c.course_id, k.time_zone, k.region,
                  EXISTS (SELECT FROM texts t WHERE t.course_id = c.course_id AND t.kind = 'booked')
           FROM courses c JOIN contacts k ON k.contact_id = c.patient_id
           WHERE c.course_id = ANY($1) ORDER BY c.course_id FOR UPDATE OF c""",
        list(courses),
    )
    zones = {row[0]: row[1] for row in known}
    await connection.execute(
        """UPDATE sessions SET version = n.version, state = 'confirmed', starts_at = n.starts_at
           FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS n (id, version, starts_at)
           WHERE session_id = n.id AND sessions.version < n.version""",
        [UUID(data["session_id"]) for data in told],
        [data["version"] for data in told],
        [datetime.fromisoformat(data["starts_at"]) for data in told],
    )
    texts: list[tuple[Any, ...]] = [
        (uuid5(id, "booked"), id, courses[id]["patient_id"], "booked", None, None, now, now, now + timedelta(hours=24))
        for id, _, _, has in known
        if not has
    ]
    for data in told:
        course_id, session_id = UUID(data["course_id"]), UUID(data["session_id"])
        starts_at = datetime.fromisoformat(data["starts_at"])
        for kind, before, until in LADDER:
            nominal_at, deadline_at = starts_at - before, starts_at - until
            due_at = fit(zones[course_id], nominal_at, deadline_at)
            id = uuid5(session_id, f"{data['version']}/{kind}")
            text = (
                id,
                course_id,
                data["patient_id"],
                kind,
                session_id,
                data["version"],
                nominal_at,
                due_at,
                deadline_at,
            )
            texts.append(text)
    await connection.execute(
        """INSERT INTO texts (text_id, course_id, contact_id, kind, session_id, session_version, nominal_at, due_at,
                              look_at, deadline_at, state)
           SELECT id, course, contact, kind, session, version, nominal, due, due, deadline, 'scheduled'
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::timestamptz[],
                       $8::timestamptz[], $9::timestamptz[])
                AS n (id, course, contact, kind, session, version, nominal, due, deadline) ON CONFLICT DO NOTHING""",
        *map(list, zip(*texts, strict=True)),
    )
    await connection.execute(
        """INSERT INTO heard VALUES ('booking.events', 0, $1)
           ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset""",
        batch[-1].offset + 1,
    )


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def fit(zone_name: str, nominal_at: datetime, deadline_at: datetime) -> datetime:
    """Out of quiet hours: later where that is still useful, else the evening before."""
    zone = _zone(zone_name)
    local = nominal_at.astimezone(zone)
    if OPENS <= local.time() < CLOSES:
        return nominal_at
    day = local.date() if local.time() < OPENS else local.date() + timedelta(days=1)
    later = datetime.combine(day, OPENS, zone).astimezone(UTC)
    if later < deadline_at:
        return later
    return datetime.combine(day - timedelta(days=1), LATEST, zone).astimezone(UTC)


_DUE: Final = """
SELECT t.text_id, t.course_id, t.contact_id, t.session_id, t.due_at, t.attempts, s.starts_at, k.phone, k.time_zone,
       k.consent_id
FROM texts t JOIN courses c USING (course_id)
     JOIN sessions s ON s.session_id = t.session_id AND s.state = 'confirmed' AND s.version = t.session_version
     JOIN contacts k ON k.contact_id = t.contact_id
     JOIN consents p ON p.consent_id = k.consent_id AND p.allowed AND p.phone_version = k.phone_version
WHERE t.state = 'scheduled' AND t.look_at <= $1 AND t.deadline_at > $1 AND k.phone IS NOT NULL
      AND NOT EXISTS (SELECT FROM pauses WHERE resumed_at IS NULL)
      AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.status = 'open'
                      AND d.aggregate IN ('course:' || t.course_id, 'contact:' || t.contact_id))
ORDER BY t.look_at LIMIT $2 FOR UPDATE OF t, c SKIP LOCKED"""

_ATTEMPT: Final = """
UPDATE texts SET state = 'sending', attempt_id = n.attempt, attempts = attempts + 1, attempted_at = $4::timestamptz,
                 lease_until = $4::timestamptz + interval '5 min', body = n.body, segments = 1, consent_id = n.consent
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $5::uuid[]) AS n (id, attempt, body, consent) WHERE text_id = n.id"""

_OUTCOME: Final = """
WITH told AS (
    INSERT INTO outbox (event_id, topic, key, value, headers, created_at)
    SELECT event, 'reminders.events', key, value, headers, $7
    FROM unnest($3::text[], $4::bytea[], $5::bytea[], $6::bytea[]) AS o (event, key, value, headers))
UPDATE texts SET state = 'sent', sent_at = attempted_at, provider_sid = n.sid, lease_until = NULL
FROM unnest($1::uuid[], $2::text[]) AS n (attempt, sid) WHERE attempt_id = n.attempt AND state = 'sending'"""

Send = Callable[[UUID, str, str], Awaitable[str]]
"""(attempt, number, words) -> the provider's id."""


async def fire(connections: Sequence[asyncpg.Connection], now: datetime, send: Send) -> None:
    """Send all that is due, by as many hands as there are connections."""
    await asyncio.gather(*(_fire(connection, now, send) for connection in connections))


async def _fire(connection: asyncpg.Connection, now: datetime, send: Send) -> None:
    while True:
        async with connection.transaction():
            due = await connection.fetch(_DUE, now, BATCH)
            due = [row for row in due if OPENS <= now.astimezone(_zone(row[8])).time() < CLOSES]
            if not due:
                return
            attempts = [uuid5(NAMESPACE, f"{row[0]}/{row[5] + 1}") for row in due]
            bodies = [words(row[6]) for row in due]
            await connection.execute(_ATTEMPT, [row[0] for row in due], attempts, bodies, now, [row[9] for row in due])
        sids = await asyncio.gather(
            *(send(attempt, row[7], body) for attempt, row, body in zip(attempts, due, bodies, strict=True))
        )
        events = [_event(row, attempt, now) for row, attempt in zip(due, attempts, strict=True)]
        async with connection.transaction():
            await connection.execute(_OUTCOME, attempts, sids, *map(list, zip(*events, strict=True)), now)


def words(starts_at: datetime) -> str:
    """What the text says."""
    local = starts_at.astimezone(_zone("America/Chicago"))
    return (
        f"Stella: your appointment is on {local:%a %b} {local.day} at {local:%I:%M %p}. Please read your preparation"
        " sheet and arrange a ride home. Questions: 630-555-0136."
    )


def _event(row: Any, attempt: UUID, now: datetime) -> tuple[str, bytes, bytes, bytes]:
    id, key = str(uuid5(NAMESPACE, f"sent/{attempt}")), str(row[1]).encode()
    data = {
        "text_id": str(row[0]), "contact_id": row[2], "course_id": str(row[1]), "session_id": str(row[3]),
        "kind": "preparation", "due_at": row[4], "sent_at": now, "segments": 1,
    }  # fmt: skip
    headers = [
        ("ce_specversion", "1.0"), ("ce_id", id), ("ce_type", "reminders.text.sent.v1"), ("ce_source", "/floor"),
        ("ce_subject", str(row[1])), ("ce_time", now), ("content-type", "application/json"),
    ]  # fmt: skip
    return id, key, orjson.dumps(data), orjson.dumps(headers)
