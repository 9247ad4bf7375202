"""Billing's routes to papers: pages for print, as they were issued. Who looks at one is noted."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from services.billing.http.money import Reader
from services.billing.http.shapes import COURSE_ID, PAGE, SESSION_ID
from services.billing.papers.folder import Kind
from services.billing.store.papers import read_paper
from shared.http.callers import service_of
from shared.http.problem import READ, Problem, problems
from shared.tables import audit

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""A paper is personal: it is kept nowhere on the way, fetches nothing and stands in nobody else's page."""

SHOWN: Final = READ | problems(410) | {200: {"content": {"text/html": {"example": PAGE}}}}

Version = Annotated[int | None, Query(ge=1, le=100_000, examples=[1], description="the newest where none is named")]

router = APIRouter(tags=["papers"], default_response_class=HTMLResponse)


@router.get("/v1/estimates/{id}", responses=SHOWN)
async def get_estimate(
    request: Request, id: Annotated[UUID, Path(examples=[COURSE_ID])], by: Reader, version: Version = None
) -> HTMLResponse:
    """A course's good-faith estimate, also an earlier version. Its id is the course's."""
    return await _shown(request, Kind.ESTIMATE, id, by, version)


@router.get("/v1/superbills/{id}", responses=SHOWN)
async def get_superbill(
    request: Request, id: Annotated[UUID, Path(examples=[SESSION_ID])], by: Reader, version: Version = None
) -> HTMLResponse:
    """The superbill of one date of service. Its id is the session's."""
    return await _shown(request, Kind.SUPERBILL, id, by, version)


@router.get("/v1/receipts/{id}", responses=SHOWN)
async def get_receipt(
    request: Request, id: Annotated[UUID, Path(examples=[SESSION_ID])], by: Reader, version: Version = None
) -> HTMLResponse:
    """The receipt for one date of service. Its id is the session's."""
    return await _shown(request, Kind.RECEIPT, id, by, version)


async def _shown(request: Request, kind: Kind, id: UUID, by: str, version: int | None) -> HTMLResponse:
    service = service_of(request)
    now: datetime = service.clock.now()
    async with service.database.begin() as connection:
        paper = await read_paper(connection, kind, id, version)
        if paper is None:
            raise Problem(404, "not_found", f"there is no such {kind}")
        if paper.html is None:
            raise Problem(410, "erased", f"the person whom this {kind} names was erased")
        note = f"version {paper.version}"
        await audit.keep(connection, f"shown-{uuid4()}", by, f"show_{kind}", str(id), note, now)
    return HTMLResponse(paper.html, headers=HEADERS)
