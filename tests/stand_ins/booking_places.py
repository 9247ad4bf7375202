"""Places as booking reads them from the shipped profiles, and places that differ from them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, time
from typing import Final

from services.booking.chairs.location import ChairPlan, Room
from services.booking.profile import read_places
from shared.configuration.clinic import WEEKDAYS, Opening
from tests.stand_ins.clinics import CLINICS

PLACES: Final = read_places(CLINICS, None)
STELLA: Final = PLACES["stella"]


def room(chairs: int, providers: int | None = None, place: ChairPlan = STELLA) -> dict[str, ChairPlan]:
    """All places, one of them with so many chairs and providers only."""
    names = tuple(f"chair-{n}" for n in range(1, chairs + 1))
    staff = tuple(f"provider-{n}" for n in range(1, (chairs if providers is None else providers) + 1))
    return PLACES | {place.name: replace(place, room=Room(chairs=names, providers=staff))}


SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
"""The Sundays on which American clocks are changed, at two in the morning."""


def always_open(opens: time = time(0), closes: time = time(23, 45), **protocol: object) -> ChairPlan:
    """Stella, but at any hour of any day; its infusion with other data where told."""
    location = STELLA.location.model_copy(update={"hours": (Opening(days=WEEKDAYS, opens=opens, closes=closes),)})
    changed = STELLA.protocols["ketamine_induction"].model_copy(update=protocol)
    return replace(STELLA, location=location, protocols={"ketamine_induction": changed})


ONE_CHAIR = replace(STELLA, room=Room(chairs=("chair-1",), providers=("provider-1",)))


ALWAYS = tuple(
    hours.model_copy(update={"days": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")})
    for hours in STELLA.location.hours
)


def with_hours(
    place: ChairPlan, *openings: tuple[str, str], holidays: Iterable[date] = (), days: str = ""
) -> ChairPlan:
    """A place that is open at other times."""
    hours = tuple(
        Opening(
            days=tuple(WEEKDAYS) if days == "all" else WEEKDAYS[:5],
            opens=time.fromisoformat(opens),
            closes=time.fromisoformat(closes),
        )
        for opens, closes in openings
    )
    return replace(place, location=place.location.model_copy(update={"hours": hours, "holidays": tuple(holidays)}))
