"""Routes to free places and to the day's board, for the desk."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from services.booking.chairs.free_starts import first_seats
from services.booking.chairs.location import ChairPlan
from services.booking.http.shapes import PAGE_END, BoardSession, FreePlace
from services.booking.store.board import Cursor, sessions_of_day
from services.booking.store.calendar import occupancy
from shared.configuration.api_keys import Role
from shared.contract.fields import Day, Id
from shared.http.callers import RequiresRole, service_of
from shared.http.problem import READ, Problem

Desk = Annotated[str, Depends(RequiresRole(Role.FRONT_DESK))]
AtLocation = Annotated[str, Query(examples=["albany"])]
FIRST, LAST = date(1900, 1, 1), date(2999, 12, 1)
AnyDay = Annotated[Day, Field(ge=FIRST, le=LAST)]

LOOKED_AT: Final = 30
"""Days over which free places are looked for where no last day is given."""

MOST_DAYS: Final = 92


def board_routes(places: Mapping[str, ChairPlan]) -> APIRouter:
    """The routes to free places and to the board."""
    router = APIRouter(tags=["board"], responses=READ)

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
            first_seats, calendar, place, treatment, first, days, now, limit, minutes, patient_id or ""
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
        shown = [BoardSession(**row._asdict(), needs=row.needs) for row in found[:limit]]
        if len(found) > limit:
            end = Cursor(shown[-1].starts_at, shown[-1].session_id)
            page = urlencode({"location": location, "day": day, "limit": limit, "after": end})
            response.headers["Link"] = f'<{request.url.path}?{page}>; rel="next"'
        return shown

    return router


def _place(places: Mapping[str, ChairPlan], location: str) -> ChairPlan:
    if location not in places:
        raise Problem(404, "not_found", "there is no such location")
    return places[location]


def _cursor(text: str | None) -> Cursor | None:
    try:
        return Cursor.read(text) if text is not None else None
    except ValueError:
        raise Problem(422, "invalid", "query.after: is no end of a page") from None
