"""The texts as a queue: which are due, and how much each clinic's number may send. SQL for `dispatch`.

Claiming takes its locks with SKIP LOCKED and waits for nobody; two processes never get the same text.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from services.reminders.people.contact import Contact
from services.reminders.rules.course import Course
from services.reminders.store.contacts import load_contacts
from services.reminders.store.courses import load_courses
from services.reminders.store.texts import READ, text_from_row
from services.reminders.text.text import Text
from shared.postgres.query import rows
from shared.postgres.values import Connection
from shared.postgres.writes import Writes

_FREE: Final = """t.state = 'scheduled' AND NOT EXISTS (
    SELECT FROM dead_letters d WHERE d.status = 'open'
    AND d.aggregate IN ('course:' || t.course_id, 'contact:' || t.contact_id))"""
"""Waiting texts of courses and people that no dead letter holds back."""

_OF_COURSES: Final = (
    f"FROM texts t JOIN courses c USING (course_id) WHERE c.location = ANY(CAST(:served AS text[])) AND {_FREE}"
)
_ANSWERS: Final = f"FROM texts t WHERE t.course_id IS NULL AND t.location = ANY(CAST(:served AS text[])) AND {_FREE}"


async def next_claim_at(
    connection: Connection, served: Sequence[str], not_before: Mapping[str, datetime] = MappingProxyType({})
) -> datetime | None:
    """The earliest instant at which a text must be looked at, searched for, or a dead process's lease runs out.

    Args:
        not_before: locations whose texts wait until then, whenever they are due.
    """
    (found,) = await rows(
        connection,
        f"""SELECT least((SELECT t.look_at {_OF_COURSES} ORDER BY t.look_at LIMIT 1),
                         (SELECT t.look_at {_ANSWERS} ORDER BY t.look_at LIMIT 1),
                         (SELECT min(search_at) FROM texts WHERE search_at IS NOT NULL),
                         (SELECT min(lease_until) FROM texts WHERE state = 'sending')) AS instant""",
        served=[location for location in served if location not in not_before],
    )
    instants: list[datetime | None] = [found.instant]
    for opens_at in sorted(set(not_before.values())):
        (found,) = await rows(
            connection,
            f"""SELECT least((SELECT t.look_at {_OF_COURSES} ORDER BY t.look_at LIMIT 1),
                             (SELECT t.look_at {_ANSWERS} ORDER BY t.look_at LIMIT 1)) AS instant""",
            served=[location for location in served if not_before.get(location) == opens_at],
        )
        instants.append(max(found.instant, opens_at) if found.instant is not None else None)
    return min((instant for instant in instants if instant is not None), default=None)


async def overdue(connection: Connection, now: datetime, served: Sequence[str]) -> tuple[int, datetime | None]:
    """How many texts could go out by now, and since when the first of them; what must wait is not late."""
    (found,) = await rows(
        connection,
        f"""SELECT count(*) AS n, min(since) AS oldest
            FROM (SELECT greatest(t.look_at, t.due_at) AS since {_OF_COURSES} AND t.look_at <= :now
                  UNION ALL SELECT greatest(t.look_at, t.due_at) {_ANSWERS} AND t.look_at <= :now) AS due
            WHERE since <= :now""",
        now=now,
        served=list(served),
    )
    return found.n, found.oldest


async def claim(
    connection: Connection, until: datetime, served: Sequence[str], batch: int
) -> list[tuple[Text, UUID | None, int]]:
    """Texts due until an instant, each with its course, if it has one, and its earlier attempts; both locked.

    Answers go first, then `day_of`. What another transaction has locked is left to the next pass. The rest comes in the
    order of the index: however many are due, no more are read than are claimed.
    """
    columns = ", ".join(f"t.{column}" for column in READ)
    part = f"SELECT t.course_id, t.attempts, {columns}"
    due = "AND t.look_at <= :until"
    found = await rows(
        connection,
        f"""WITH answers AS (
                {part} {_ANSWERS} {due} ORDER BY t.look_at LIMIT :batch FOR UPDATE OF t SKIP LOCKED),
            day_of AS (
                {part} {_OF_COURSES} AND t.kind = 'day_of' {due} ORDER BY t.look_at
                LIMIT :batch - (SELECT count(*) FROM answers) FOR UPDATE OF t, c SKIP LOCKED),
            others AS (
                {part} {_OF_COURSES} AND t.kind <> 'day_of' {due} ORDER BY t.look_at
                LIMIT :batch - (SELECT count(*) FROM answers) - (SELECT count(*) FROM day_of)
                FOR UPDATE OF t, c SKIP LOCKED)
            SELECT * FROM answers UNION ALL SELECT * FROM day_of UNION ALL SELECT * FROM others""",
        until=until,
        served=list(served),
        batch=batch,
    )
    return [(text_from_row(columns), course_id, attempts) for course_id, attempts, *columns in found]


async def courses_of(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Course]:
    """Courses as the last look needs them: of their texts those about payments alone."""
    return await load_courses(connection, ids, "AND o.kind = 'payment_due'")


async def contacts_at_rest(connection: Connection, ids: Sequence[str]) -> tuple[dict[str, Contact], set[str]]:
    """Contacts, kept from changing until this transaction ends, and the ids of those that are just being changed."""
    still = await load_contacts(connection, ids, "FOR SHARE OF contacts SKIP LOCKED")
    if len(still) == len(ids):
        return still, set()
    there = await rows(
        connection, "SELECT contact_id FROM contacts WHERE contact_id = ANY(CAST(:ids AS text[]))", ids=list(ids)
    )
    return still, {row.contact_id for row in there} - set(still)


async def expected_again(connection: Connection, texts: Sequence[tuple[UUID, str]]) -> frozenset[str]:
    """Of these courses' patients those for whom texts of another course's appointments wait."""
    found = await rows(
        connection,
        """SELECT n.contact_id FROM unnest(CAST(:courses AS uuid[]), CAST(:ids AS text[])) AS n (course_id, contact_id)
           WHERE EXISTS (SELECT FROM texts t WHERE t.contact_id = n.contact_id AND t.state = 'scheduled'
                         AND t.course_id <> n.course_id
                         AND t.kind IN ('payment_due', 'preparation', 'day_before', 'day_of'))""",
        courses=[course_id for course_id, _ in texts],
        ids=[contact_id for _, contact_id in texts],
    )
    return frozenset(row.contact_id for row in found)


def update_texts(writes: Writes, changes: Sequence[Mapping[str, Any]]) -> None:
    """Set the same columns of many texts, which are locked or ours by their attempt.

    Args:
        changes: each with `text_id` and the columns to set, all with the same ones.
    """
    if changes:
        writes.update("texts", list(changes[0]), changes, key=["text_id"])


async def room(connection: Connection, rates: Mapping[str, float]) -> dict[str, float]:
    """Of each clinic whose number is free: how many segments may be sent at once. By the wall's clock, which the
    provider counts by; a number that another replica is just using is not free.

    Args:
        rates: segments a second, by clinic.
    """
    free = await rows(
        connection,
        """WITH made AS (
               INSERT INTO senders
               SELECT n.clinic, clock_timestamp() FROM unnest(CAST(:clinics AS text[])) AS n (clinic)
               WHERE NOT EXISTS (SELECT FROM senders s WHERE s.clinic = n.clinic) ON CONFLICT DO NOTHING)
           SELECT clinic FROM senders WHERE clinic = ANY(CAST(:clinics AS text[])) AND free_at <= clock_timestamp()
           ORDER BY clinic FOR UPDATE SKIP LOCKED""",
        clinics=sorted(rates),
    )
    return {row.clinic: rates[row.clinic] for row in free}


def take_room(writes: Writes, taken: Mapping[str, int], rates: Mapping[str, float]) -> None:
    """A number is busy for as long as the provider needs for what it was given."""
    used = {clinic: count / rates[clinic] for clinic, count in taken.items() if clinic in rates}
    if used:
        writes.add(
            """UPDATE senders SET free_at = clock_timestamp() + n.seconds * interval '1 s'
               FROM unnest(CAST(:clinics AS text[]), CAST(:seconds AS float8[])) AS n (clinic, seconds)
               WHERE senders.clinic = n.clinic""",
            clinics=list(used),
            seconds=list(used.values()),
        )
