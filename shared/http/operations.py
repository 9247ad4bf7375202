"""Routes of operators that every service has: dead letters, what waits for a person, and how far the service has read.

A dead letter is ended once, by a named key: `ended_by`, `ended_at` and the reason stay with it in the database.
"""

import logging
from collections.abc import Iterable
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.configuration.api_keys import Role
from shared.contract.fields import Line
from shared.http.callers import RequiresRole, service_of
from shared.http.dead_letter_shown import ShownLetter, shown
from shared.http.problem import READ, Problem, problems
from shared.http.requests import read_body
from shared.postgres.pool import TROUBLE
from shared.tables import attention, dead_letters

log = logging.getLogger(__name__)

operations = APIRouter()
Operator = Annotated[str, Depends(RequiresRole(Role.OPERATOR))]
LetterId = Annotated[int, Field(ge=1, lt=2**63)]
HEARD_PLACE: Final[dict[str, Any]] = {"topic": "clinic.payments", "partition": 3, "next_offset": 1284}


class Resolution(BaseModel):
    """What a person did about it, in a line without personal data."""

    reason: Annotated[Line, Field(min_length=1)]


class Which(BaseModel):
    """Many open dead letters: these, or all of one error type."""

    ids: Annotated[tuple[LetterId, ...] | None, Field(min_length=1, max_length=1000)] = None
    error_type: Line | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.error_type is None):
            raise ValueError("either ids or error_type")
        return self


class WhichAndWhy(Which, Resolution):
    """Many open dead letters, and why they go."""


class Failure(BaseModel):
    """A letter whose rule failed again: it stays open, and so does all that waits behind it."""

    id: int
    error_type: str


class Retried(BaseModel):
    """How many messages have had their effect now, and what failed again."""

    retried: int = 0
    failed: list[Failure] = []


class Discarded(BaseModel):
    """How many messages are dropped, how many that had waited behind them have had their effect, and what failed."""

    discarded: int = 0
    released: int = 0
    failed: list[Failure] = []


@operations.get("/ops/dead-letters", tags=["operations"])
async def list_dead_letters(
    request: Request, by: Operator, status: Annotated[dead_letters.Status, Query()] = "open"
) -> list[dict[str, Any]]:
    """Messages without effect that wait for an operator; or those that were ended, by whom and why."""
    async with service_of(request).database.begin() as connection:
        return await dead_letters.listed(connection, status)


@operations.get("/ops/dead-letters/{id}", tags=["operations"], responses=READ)
async def show_dead_letter(request: Request, id: Annotated[LetterId, Path(examples=[7])], by: Operator) -> ShownLetter:
    """One letter, open or ended: its place, its reason and its headers, and how many wait behind it; not its bytes."""
    async with service_of(request).database.begin() as connection:
        letter = await shown(connection, id)
    if letter is None:
        raise Problem(404, "not_found", "there is no such dead letter")
    return letter


@operations.post("/ops/dead-letters/retry", tags=["operations"])
async def retry_dead_letters(request: Request, by: Operator) -> Retried:
    """Retry many: each with all that waits behind it, in order; one that fails again holds up no other."""
    which = await read_body(request, Which)
    return await _retry(request, by, await _matching(request, which))


@operations.post("/ops/dead-letters/discard", tags=["operations"])
async def discard_dead_letters(request: Request, by: Operator) -> Discarded:
    """Drop many for good, with one reason."""
    which = await read_body(request, WhichAndWhy)
    return await _discard(request, by, await _matching(request, which), which.reason)


@operations.post("/ops/dead-letters/{id}/retry", tags=["operations"])
async def retry_dead_letter(request: Request, id: LetterId, by: Operator) -> Retried:
    """Put a message, and all that waits behind it, through the rules again, in order."""
    done = await _retry(request, by, [id])
    if done.failed:
        raise Problem(409, "still_failing", f"it failed again: {done.failed[0].error_type}; nothing has changed")
    if not done.retried:
        raise Problem(404, "not_found", "there is no such open dead letter")
    return done


@operations.post("/ops/dead-letters/{id}/discard", tags=["operations"])
async def discard_dead_letter(request: Request, id: LetterId, by: Operator) -> Discarded:
    """Drop one message for good, with a reason; what waits behind it goes on when the last defect is gone."""
    resolution = await read_body(request, Resolution)
    done = await _discard(request, by, [id], resolution.reason)
    if not done.discarded:
        raise Problem(404, "not_found", "there is no such open dead letter")
    return done


async def _matching(request: Request, which: Which) -> list[int]:
    async with service_of(request).database.begin() as connection:
        return await dead_letters.matching(connection, which.ids or (), which.error_type)


async def _retry(request: Request, by: str, ids: Iterable[int]) -> Retried:
    done = Retried()
    for id in ids:
        try:
            done.retried += await service_of(request).worker.retry(id, by)
        except LookupError:
            continue  # it went with one before it
        except TROUBLE:
            raise
        except Exception as error:
            log.exception("dead letter %d fails again", id, extra={"service": service_of(request).name})
            done.failed.append(Failure(id=id, error_type=type(error).__name__))
    return done


async def _discard(request: Request, by: str, ids: Iterable[int], reason: str) -> Discarded:
    done, worker = Discarded(), service_of(request).worker
    for id in ids:
        try:
            follower = await worker.discard(id, by, reason)
        except LookupError:
            continue
        done.discarded += 1
        if follower is None:
            continue
        again = await _retry(request, by, [follower])
        done.released += again.retried
        done.failed += again.failed
    return done


class HeardPlace(BaseModel):
    """A partition, and the offset before which everything in it has had its effect here."""

    model_config = ConfigDict(json_schema_extra={"examples": [HEARD_PLACE]})

    topic: str
    partition: int
    next_offset: int


@operations.get("/ops/heard", tags=["operations"], responses=problems(401, 403, 503))
async def heard(request: Request, by: Operator) -> list[HeardPlace]:
    """How far this service has read each partition of its topics, effects included; Kafka's own figure runs behind."""
    places = await service_of(request).heard()
    return [HeardPlace(topic=t, partition=p, next_offset=places[t, p]) for t, p in sorted(places)]


@operations.get("/ops/attention", tags=["operations"])
async def list_attention(request: Request, by: Operator) -> list[dict[str, Any]]:
    """What waits for a person's decision, oldest first."""
    async with service_of(request).database.begin() as connection:
        return await attention.open_rows(connection)


@operations.post("/ops/attention/{id}/resolve", tags=["operations"])
async def resolve_attention(request: Request, id: UUID, by: Operator) -> dict[str, str]:
    """Say what was done about it."""
    service = service_of(request)
    resolution = await read_body(request, Resolution)
    async with service.database.begin() as connection:
        if not await attention.resolve(connection, id, by, resolution.reason, service.clock.now()):
            raise Problem(404, "not_found", "there is no such open matter")
    return {"status": "resolved"}
