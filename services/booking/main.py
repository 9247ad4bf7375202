"""Booking, put together."""

from functools import partial
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from services.booking import api, board, feed, store, watch
from services.booking.closures import Closure
from services.booking.course import Course
from services.booking.occupancy import Calendar
from services.booking.profile import read_places
from services.booking.rules import HEARS, aggregate_of, decide
from services.booking.settings import BookingSettings
from shared.batch import Rules
from shared.clock import Clock, WallClock
from shared.operations import create_api
from shared.process import serve
from shared.service import Service
from shared.settings import read_settings

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
        notes=board.NOTES,
    )
    service = Service(rules, settings, settings.database_url, MIGRATIONS, clock)
    service.add_look(watch.look(places))
    return create_api(service, api.routes(places), board.board_routes(places), feed.feed_routes(places))


def main() -> None:
    """Run as a process of its own."""

    def start() -> tuple[FastAPI, BookingSettings, int]:
        settings = read_settings(BookingSettings)
        return build(settings, WallClock()), settings, settings.booking_port

    serve(start)
