"""Closures of a location, a chair or a provider for a while: a broken pump, an ill provider, snow. Pure.

A closure is one request: it closes a stretch of the calendar, lists the sessions that sit in it, and sends each of them
a message, which moves it like any other (see `changes.on_displaced`).
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import model_validator

from services.booking.chairs.calendar import Calendar, Closed, Resource, Taken
from services.booking.chairs.location import ChairPlan
from services.booking.rules.course import TimerKind
from shared.contract.fields import Instant, Name
from shared.contract.register import EventData
from shared.decision.decision import Decision, Timer


class ClosureRequested(EventData, type="chairtime.closure.requested"):
    """Please close a place, or one chair or one provider of it, and move whoever sits there."""

    closure_id: UUID
    location: Name
    chair: Name | None = None
    provider: Name | None = None
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _one_stretch(self) -> "ClosureRequested":
        if self.chair is not None and self.provider is not None:
            raise ValueError("a chair or a provider, not both")
        if not timedelta() < self.ends_at - self.starts_at <= timedelta(days=366):
            raise ValueError("ends_at must lie after starts_at, at most 366 days")
        return self

    @property
    def key(self) -> str:
        return f"closure/{self.closure_id}"


class Closure(NamedTuple):
    """A closure, and what sessions had taken in it when it was asked for, in order of time."""

    request: ClosureRequested
    concerned: tuple[Taken, ...]


def closed_by(request: ClosureRequested) -> Closed:
    """The stretch of the calendar that a closure takes away."""
    resource: Resource = (request.location,)
    if request.chair is not None:
        resource = (request.location, "chair", request.chair)
    elif request.provider is not None:
        resource = (request.location, "provider", request.provider)
    return Closed(resource, request.starts_at, request.ends_at)


def on_closure_requested(
    closure: Closure | None, place: ChairPlan, request: ClosureRequested, now: datetime, calendar: Calendar
) -> Decision[Any, Calendar]:
    """Close the stretch for what is not in it yet, and send a message to each session that is.

    The same closure again changes nothing.
    """
    if closure is not None:
        return Decision(closure)
    closed = closed_by(request)
    alone = Calendar(closed=(closed,))
    chairs = {(place.name, "chair", chair) for chair in place.room.chairs}
    inside = calendar.at(chairs, request.starts_at, request.ends_at)
    concerned = tuple(taken for taken in inside if alone.displaces(taken))
    moves = (Timer(TimerKind.DISPLACED, now, str(taken.session_id), str(taken.course_id)) for taken in concerned)
    return Decision(Closure(request, concerned), timers=tuple(moves), context=calendar.close(closed))
