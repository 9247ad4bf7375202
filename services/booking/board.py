"""What the desk looks at: free places, the day's board, what a session waits for, what its patient replied. Nothing is
decided here.

Whether a session waits for money or for an insurer is billing's to say. Six such events come for every course and most
say money, so they are notes: no course is loaded for them, and only what waits for an insurer has a row.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from services.booking.answers import PAGE_END, BoardSession, FreePlace
from services.booking.occupancy_store import occupancy
from services.booking.places import first_places
from services.booking.profile import Place
from shared.batch import Note
from shared.contract import Day, Id, Intent, Needs, PrepaymentRequired, ReplyReceived, SessionState
from shared.database import Connection, Writes, rows
from shared.http import Problem, Role, caller, problems, service_of


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


async def sessions_of_day(
    connection: Connection, location: str, first: datetime, last: datetime, limit: int, after: Cursor | None = None
) -> list[BoardSession]:
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
    return [BoardSession(**row, needs=needs_of(SessionState(row.state), row.insurer)) for row in found]


# Routes --------------------------------------------------------------------------------------------------------------

Desk = Annotated[str, Depends(caller(Role.FRONT_DESK))]
AtLocation = Annotated[str, Query(examples=["albany"])]
FIRST, LAST = date(1900, 1, 1), date(2999, 12, 1)
AnyDay = Annotated[Day, Field(ge=FIRST, le=LAST)]

LOOKED_AT: Final = 30
"""Days over which free places are looked for where no last day is given."""

MOST_DAYS: Final = 92


def board_routes(places: Mapping[str, Place]) -> APIRouter:
    """The routes of those who look."""
    router = APIRouter(tags=["board"], responses=problems(401, 403, 404, 422, 503))

    @router.get("/v1/availability")
    async def first_free_places(
        request: Request,
        by: Desk,
        location: AtLocation,
        treatment: Annotated[str, Query(examples=["ketamine_induction"])],
        first_day: Annotated[AnyDay | None, Query(description="Today when left out", examples=["2030-01-07"])] = None,
        last_day: Annotated[
            AnyDay | None, Query(description=f"At most {MOST_DAYS} days are looked at", examples=["2030-01-31"])
        ] = None,
        minutes: Annotated[
            int | None, Query(ge=1, le=600, description="The whole visit, else the protocol's", examples=[60])
        ] = None,
        patient_id: Annotated[Id | None, Query(description="Who must be free then, too", examples=["p-1043"])] = None,
        limit: Annotated[int, Query(ge=1, le=200, examples=[10])] = 10,
    ) -> list[FreePlace]:
        """The first free places for one session of a treatment. They are not held: somebody else may be faster."""
        place = _place(places, location)
        if treatment not in place.protocols:
            raise Problem(422, "invalid", "query.treatment: the location has no protocol for it")
        service = service_of(request)
        now = service.clock.now()
        first = first_day or place.location.local(now).date()
        days = (last_day - first).days + 1 if last_day else LOOKED_AT
        if not 1 <= days <= MOST_DAYS:
            raise Problem(422, "invalid", f"query.last_day: must lie 0 to {MOST_DAYS - 1} days after the first")
        async with service.database.begin() as connection:
            calendar = await occupancy(connection, place, first, days, patient_id or "")
        found = await asyncio.to_thread(  # a full quarter takes a tenth of a second, in which others want answers
            first_places, calendar, place, treatment, first, days, now, limit, minutes, patient_id or ""
        )
        return [FreePlace(**free._asdict(), time_zone=place.location.zone) for free in found]

    @router.get("/v1/sessions")
    async def day_board(
        request: Request,
        response: Response,
        by: Desk,
        location: AtLocation,
        day: Annotated[AnyDay, Query(examples=["2030-01-07"])],
        limit: Annotated[int, Query(ge=1, le=500, examples=[200])] = 200,
        after: Annotated[
            str | None, Query(description="Where the page before ended: its Link header says", examples=[PAGE_END])
        ] = None,
    ) -> list[BoardSession]:
        """One location's sessions of one day, by its own clock, each with why it is not confirmed.

        Where there are more, the header `Link` leads to the next page (RFC 8288).
        """
        zone = _place(places, location).location.tz
        first, last = (datetime.combine(day + timedelta(days=n), time(), zone) for n in (0, 1))
        async with service_of(request).database.begin() as connection:
            found = await sessions_of_day(connection, location, first, last, limit + 1, _cursor(after))
        shown = found[:limit]
        if len(found) > limit:
            end = Cursor(shown[-1].starts_at, shown[-1].session_id)
            page = urlencode({"location": location, "day": day, "limit": limit, "after": end})
            response.headers["Link"] = f'<{request.url.path}?{page}>; rel="next"'
        return shown

    return router


def _place(places: Mapping[str, Place], location: str) -> Place:
    if location not in places:
        raise Problem(404, "not_found", "there is no such location")
    return places[location]


def _cursor(text: str | None) -> Cursor | None:
    try:
        return Cursor.read(text) if text is not None else None
    except ValueError:
        raise Problem(422, "invalid", "query.after: is no end of a page") from None
