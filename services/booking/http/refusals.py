"""What HTTP says where booking refuses: the status, a stable code, and the field or conflict; never a value."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Request
from pydantic_core import from_json

from services.booking.chairs.location import ChairPlan
from services.booking.store.board import awaiting_authorization, needs_of
from shared.contract.booking import CourseRejected, RequestRejected, SessionCheckInRefused
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import Refusal, SessionState
from shared.http.callers import service_of
from shared.http.problem import Problem
from shared.worker.service_rules import Answer

REFUSALS: Final = {RequestRejected.type, SessionCheckInRefused.type, CourseRejected.type}

STATUS: Final = {
    Refusal.NOT_PAID: 402,
    Refusal.UNKNOWN_COURSE: 404,
    Refusal.UNKNOWN_SESSION: 404,
    Refusal.IN_PAST: 422,
}
"""Refusals that HTTP has a word for; every other one is a conflict."""


async def judge(request: Request, answer: Answer) -> None:
    """Pass over an answer that is no refusal.

    Raises:
        Problem: it is one.
    """
    for event in answer:
        if event["type"] not in REFUSALS:
            continue
        data = event["data"]
        code = Refusal(data.get("code") or data["reason"])
        match STATUS.get(code, 409):
            case 402:
                session_id = UUID(data["session_id"])
                async with service_of(request).database.begin() as connection:
                    waiting = await awaiting_authorization(connection, [session_id])
                needs = needs_of(SessionState.HELD, session_id in waiting)
                raise Problem(402, code, f"the session waits for: {needs}; the check-in is remembered", needs=needs)
            case 404:
                raise Problem(404, "not_found", f"there is no such {code.removeprefix('unknown_')}")
            case 422:
                raise Problem(422, code, "starts_at: lies in the past")
            case status:
                raise Problem(status, code, data.get("detail", "the session stands otherwise"))


def rejected(data: dict[str, Any], wish: CourseRequested) -> Problem:
    """Why a course could not be held. A time that is over is a mistake in the request, anything else a conflict."""
    more = {name: data[name] for name in ("conflicts", "alternatives", "nearest_start") if name in data}
    past = {conflict.get("session_id") for conflict in data["conflicts"] if conflict["code"] == Refusal.IN_PAST}
    if not past:
        return Problem(409, data["code"], data["detail"], **more)
    fields = [f"sessions.{n}.starts_at" for n, s in enumerate(wish.sessions or ()) if str(s.session_id) in past]
    return Problem(422, Refusal.IN_PAST, f"{', '.join(fields) or 'plan.first_day'}: lies in the past", **more)


def refuse_skipped(body: bytes, place: ChairPlan) -> None:
    """Refuse times that the clocks of a place skip; the body is JSON that has been read before.

    Raises:
        Problem: 422 with the fields.
    """
    if fields := list(skipped(from_json(body or b"{}"), place.location.tz)):
        raise Problem(422, "invalid", f"{', '.join(fields)}: the clocks go forward then, and skip this time")


def skipped(body: Any, zone: ZoneInfo, field: str = "") -> Iterator[str]:
    """The fields with a time that no clock of the zone shows, since it lies in the hour that spring takes away.

    A time counts as told by the zone's clock where it carries an offset that the zone has before or after that hour.
    """
    match body:
        case dict():
            for name, value in body.items():
                yield from skipped(value, zone, f"{field}.{name}".lstrip("."))
        case list():
            for number, value in enumerate(body):
                yield from skipped(value, zone, f"{field}.{number}")
        case str():
            try:
                written = datetime.fromisoformat(body)
            except ValueError:
                return
            before, after = (written.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
            if before is not None and after is not None and before < after and written.utcoffset() in (before, after):
                yield field
