"""The billing service, built of its rules, its store and its routes."""

from functools import partial
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from services.billing.account.account import Known
from services.billing.http import money, papers
from services.billing.papers.folder import State
from services.billing.profile import read_places
from services.billing.rules.decide import HEARS, aggregate_of, decide
from services.billing.settings import BillingSettings
from services.billing.store import accounts as store
from shared.configuration.settings import read_settings
from shared.decision.clock import Clock, WallClock
from shared.http.app import create_api
from shared.service.process import serve
from shared.service.service import Service
from shared.worker.service_rules import Rules

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def build(settings: BillingSettings, clock: Clock) -> FastAPI:
    """The service as an application; nothing is connected before it starts.

    Raises:
        Misconfigured: a profile is wrong.
    """
    places = read_places(settings.profiles, settings.clinics)
    rules: Rules[State, Known] = Rules(
        service="billing",
        hears=HEARS,
        aggregate_of=aggregate_of,
        decide=partial(decide, places),
        load=partial(store.load, places),
        save=store.save,
    )
    service = Service(rules, settings, settings.database_url, MIGRATIONS, clock)
    return create_api(service, money.router, papers.router)


def main() -> None:
    """Run as a process of its own."""

    def start() -> tuple[FastAPI, BillingSettings, int]:
        settings = read_settings(BillingSettings)
        return build(settings, WallClock()), settings, settings.billing_port

    serve(start)
