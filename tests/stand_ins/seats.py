"""Wishes for seats among what is taken, and why they are refused."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid5

from services.booking.chairs.calendar import Calendar, Closed, Taken
from services.booking.chairs.location import ChairPlan
from services.booking.chairs.seating import Seated, seat_course
from services.booking.chairs.series import plan_course
from shared.contract.clinic import CourseRequested
from shared.contract.closed_sets import Refusal
from tests.facts.course import NOW, OTHER, session_id
from tests.stand_ins.booking_places import PLACES, STELLA


def wishes(place: ChairPlan, *walls: str) -> tuple[dict[str, object], ...]:
    """Wishes at times of the clock on the wall."""
    return tuple(
        {"session_id": session_id(n), "starts_at": datetime.fromisoformat(wall).replace(tzinfo=place.location.tz)}
        for n, wall in enumerate(walls, start=1)
    )


VISIT = timedelta(minutes=105)


def taken(at: datetime, chair: str = "chair-1", provider: str = "provider-1", **told: str) -> Taken:
    session_id = uuid5(OTHER, f"{at}{chair}{provider}{told}")
    where, who = told.get("location", "stella"), told.get("patient", "x")
    return Taken(session_id, OTHER, where, chair, provider, who, at, at + VISIT)


ALWAYS = [(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))]


def calendar_of(*taken: Taken, closed: Iterable[Closed] = (), patients: Iterable[str] = ()) -> Calendar:
    """A calendar of which all is known: the shipped locations, the patients of `taken`, and a few others."""
    others = {"", "anna", *(f"patient-{n}" for n in range(10))}
    known = {*PLACES, *others, *(one.patient_id for one in taken), *patients}
    return Calendar.from_rows(taken, {name: ALWAYS for name in known}, closed=closed)


def refusals(
    request: CourseRequested, *others: Taken, place: ChairPlan = STELLA, now: datetime = NOW
) -> list[tuple[int | None, Refusal]]:
    """Which wish, by its number, is refused and why; empty where the course has its seats."""
    seated = seat_course(calendar_of(*others), place, request, now)
    if isinstance(seated, Seated):
        return []
    numbers = {wish.session_id: n for n, wish in enumerate(request.sessions or ())}
    return [(None if c.session_id is None else numbers[c.session_id], c.code) for c in seated]


def planned(request: CourseRequested, place: ChairPlan = STELLA, *taken: Taken, now: datetime = NOW) -> list[datetime]:
    """When the sessions of a plan are, by the clock on the wall; empty where there is none."""
    assert request.plan is not None
    found = plan_course(calendar_of(*taken), place, request, request.plan, now)
    if not isinstance(found, tuple):
        return []
    return [place.location.local(one.starts_at).replace(tzinfo=None) for one in found]
