"""SQL of the desk's board: what a session waits for, what its patient replied, a day's sessions.

Whether a session waits for money or for an insurer is billing's to say. Six such events come for every course and most
say money, so they are notes: no course is loaded for them, and only what waits for an insurer has a row.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from shared.contract.billing import PrepaymentRequired
from shared.contract.closed_sets import Intent, Needs, SessionState
from shared.contract.reminders import ReplyReceived
from shared.postgres.query import rows
from shared.postgres.values import Connection
from shared.postgres.writes import Writes
from shared.worker.service_rules import Note


class Needed(BaseModel):
    """What the board wants to know of `billing.prepayment.required`."""

    session_id: UUID
    needs: Needs


def note_needs(writes: Writes, told: Sequence[Needed]) -> None:
    """Remember which sessions wait for an authorization; the last word about a session counts."""
    needs = {one.session_id: one.needs for one in told}
    waiting = sorted(id for id, need in needs.items() if need is Needs.AUTHORIZATION)
    if waiting:
        writes.add(
            "INSERT INTO awaiting_authorization SELECT unnest(CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING", ids=waiting
        )
    if len(waiting) < len(needs):
        writes.add(
            "DELETE FROM awaiting_authorization WHERE session_id = ANY(CAST(:ids AS uuid[]))",
            ids=[id for id, need in needs.items() if need is not Needs.AUTHORIZATION],
        )


class Replied(BaseModel):
    """What the board wants to know of `reminders.reply.received`."""

    session_id: UUID | None = None
    intent: Intent


def note_replies(writes: Writes, told: Sequence[Replied]) -> None:
    """Remember the last reply about each appointment; once it is moved, the reply says nothing any more."""
    if last := {one.session_id: one.intent for one in told if one.session_id is not None}:
        writes.add(
            """INSERT INTO replies (session_id, intent, starts_at)
               SELECT session_id, intent, starts_at
               FROM unnest(CAST(:ids AS uuid[]), CAST(:intents AS text[])) AS r (session_id, intent)
               JOIN sessions USING (session_id) ORDER BY session_id
               ON CONFLICT (session_id) DO UPDATE SET intent = excluded.intent, starts_at = excluded.starts_at""",
            ids=list(last),
            intents=list(last.values()),
        )


NOTES: Final = {
    PrepaymentRequired.type: Note(Needed, note_needs),
    ReplyReceived.type: Note(Replied, note_replies),
}


async def awaiting_authorization(connection: Connection, ids: Iterable[UUID]) -> frozenset[UUID]:
    """Which of these sessions wait for an insurer as far as billing has told."""
    found = await rows(
        connection,
        "SELECT session_id FROM awaiting_authorization WHERE session_id = ANY(CAST(:ids AS uuid[]))",
        ids=list(ids),
    )
    return frozenset(row.session_id for row in found)


def needs_of(state: SessionState, awaits_authorization: bool) -> Needs | None:
    """Why a session is not confirmed; None where it is, or where nothing is waited for any more."""
    if state is not SessionState.HELD:
        return None
    return Needs.AUTHORIZATION if awaits_authorization else Needs.MONEY


class Whereabouts(NamedTuple):
    """The course and the location that a session belongs to."""

    course_id: UUID
    location: str


async def whereabouts(connection: Connection, session_id: UUID) -> Whereabouts | None:
    """Where a session belongs; None where there is no such session."""
    found = await rows(connection, "SELECT course_id, location FROM sessions WHERE session_id = :id", id=session_id)
    return Whereabouts(*found[0]) if found else None


class Cursor(NamedTuple):
    """The last session of a page: the next page begins after it, whatever has been booked or moved meanwhile."""

    starts_at: datetime
    session_id: UUID

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor that `str` wrote.

        Raises:
            ValueError: it did not.
        """
        instant, _, id = text.partition("_")
        return cls(datetime.strptime(instant, _INSTANT).replace(tzinfo=UTC), UUID(hex=id))

    def __str__(self) -> str:
        return f"{self.starts_at.astimezone(UTC):{_INSTANT}}_{self.session_id.hex}"


_INSTANT: Final = "%Y%m%dT%H%M%S.%fZ"


class SessionOfDay(NamedTuple):
    """A session on the day's board, with what the desk must know of its course.

    Attributes:
        of: how many sessions its course has.
        reply: what the patient last wrote back about this time.
        insurer: whether it waits for an insurer's word, as far as billing has told.
    """

    session_id: UUID
    course_id: UUID
    patient_id: str
    treatment: str
    payer: str
    number: int
    of: int
    state: SessionState
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    chair: str
    provider: str
    version: int
    here_at: datetime | None
    reply: str | None
    insurer: bool

    @property
    def needs(self) -> Needs | None:
        """Why it is not confirmed."""
        return needs_of(self.state, self.insurer)


async def sessions_of_day(
    connection: Connection, location: str, first: datetime, last: datetime, limit: int, after: Cursor | None = None
) -> list[SessionOfDay]:
    """The sessions that start at a location from `first` until before `last`, in order of time."""
    begin = Cursor(first, UUID(int=0))
    since = max(after or begin, begin)
    found = await rows(
        connection,
        """SELECT s.session_id, s.course_id, s.patient_id, c.request ->> 'treatment' AS treatment,
                  c.request ->> 'payer' AS payer, s.number,
                  (SELECT count(*) FROM sessions o WHERE o.course_id = s.course_id) AS of,
                  s.state, s.starts_at, s.ends_at, s.time_zone, s.chair, s.provider, s.version, s.here_at,
                  (SELECT intent FROM replies r
                   WHERE (r.session_id, r.starts_at) = (s.session_id, s.starts_at)) AS reply,
                  EXISTS (SELECT FROM awaiting_authorization a WHERE a.session_id = s.session_id) AS insurer
           FROM sessions s JOIN courses c USING (course_id)
           WHERE s.location = :location AND s.starts_at >= :since AND s.starts_at < :last
                 AND (s.starts_at, s.session_id) > (:since, CAST(:id AS uuid))
           ORDER BY s.starts_at, s.session_id LIMIT :limit""",
        location=location,
        since=since.starts_at,
        id=since.session_id,
        last=last,
        limit=limit,
    )
    return [SessionOfDay(*row)._replace(state=SessionState(row.state)) for row in found]
