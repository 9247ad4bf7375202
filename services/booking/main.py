"""The parts of booking put together: its rules, its store, its routes and its gauges."""

from functools import partial
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from services.booking import gauges
from services.booking.chairs.calendar import Calendar
from services.booking.http.board import board_routes
from services.booking.http.calendar_feed import feed_routes
from services.booking.http.courses import course_routes
from services.booking.profile import read_places
from services.booking.rules.closures import Closure
from services.booking.rules.course import Course
from services.booking.rules.decide import HEARS, aggregate_of, decide
from services.booking.settings import BookingSettings
from services.booking.store import courses as store
from services.booking.store.board import NOTES
from shared.configuration.settings import read_settings
from shared.decision.clock import Clock, WallClock
from shared.http.app import create_api
from shared.service.process import serve
from shared.service.service import Service
from shared.worker.service_rules import Rules

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def build(settings: BookingSettings, clock: Clock) -> FastAPI:
    """The service as an application; nothing is connected before it starts.

    Raises:
        Misconfigured: a profile is wrong.
    """
    places = read_places(settings.profiles, settings.clinics)
    rules: Rules[Course | Closure, Calendar] = Rules(
        service="booking",
        hears=HEARS,
        aggregate_of=aggregate_of,
        decide=partial(decide, places),
        load=partial(store.load, places),
        save=store.save,
        notes=NOTES,
    )
    service = Service(rules, settings, settings.database_url, MIGRATIONS, clock)
    service.add_look(gauges.look(places))
    return create_api(service, course_routes(places), board_routes(places), feed_routes(places))


def main() -> None:
    """Run as a process of its own."""

    def start() -> tuple[FastAPI, BookingSettings, int]:
        settings = read_settings(BookingSettings)
        return build(settings, WallClock()), settings, settings.booking_port

    serve(start)
