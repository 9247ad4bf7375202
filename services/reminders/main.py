"""Reminders, put together."""

import sys
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from services.reminders import gauges
from services.reminders.http import consent_and_pauses, texts, webhooks
from services.reminders.people.contact import Contacts
from services.reminders.profile import read_places
from services.reminders.rules.decide import HEARS, State, aggregate_of, decide, first_due
from services.reminders.sending.dispatch import Dispatch
from services.reminders.sending.restoring import RECALL
from services.reminders.sending.sender import ConsoleSender, Sender
from services.reminders.sending.settling import OutcomeWriter
from services.reminders.sending.twilio import TwilioSender
from services.reminders.settings import RemindersSettings
from services.reminders.store import courses
from services.reminders.text.aggregates import SERVICE
from services.reminders.text.clinic import Places
from services.reminders.text.provider import OutgoingText
from shared.configuration.settings import read_settings
from shared.decision.clock import Clock, WallClock
from shared.http.app import create_api
from shared.service.process import serve
from shared.service.service import Service
from shared.worker.service_rules import Rules

MIGRATIONS: Final = Path(__file__).with_name("migrations")

REST: Final = 0.05
"""Seconds between two small batches: nobody waits for a text to be planned."""


def rules_of(places: Places) -> Rules[State, Contacts]:
    """What reminders brings to the road."""
    return Rules(
        service=SERVICE,
        hears=HEARS,
        aggregate_of=aggregate_of,
        decide=partial(decide, places),
        load=courses.load,
        save=courses.save,
        due=first_due,
        rest=REST,
        recall=RECALL,
    )


def build(settings: RemindersSettings, clock: Clock, sender: Sender | None = None) -> FastAPI:
    """The service as an application; nothing is connected before it starts.

    Args:
        sender: instead of the one that the settings name.

    Raises:
        Misconfigured: a profile or setting is wrong.
    """
    places = read_places(settings.profiles, settings.clinics)
    sender = sender or _sender(settings, places)
    service = Service(rules_of(places), settings, settings.database_url, MIGRATIONS, clock)
    alarm = service.alarm("texts")
    writer = OutcomeWriter(service.database, clock, service.ring_relay, sender.traceable)
    dispatch = Dispatch(
        service.database,
        service.fence,
        clock,
        alarm,
        service.ring_relay,
        sender,
        writer,
        places,
        settings.rates({place.clinic for place in places.values()}),
    )
    service.add_look(gauges.look({name: place.clinic for name, place in sorted(places.items())}))
    service.add_loop("texts", alarm, dispatch.run, dispatch.next_due)
    return create_api(
        service, texts.routes(places), consent_and_pauses.routes(places), webhooks.routes(_account(settings), writer)
    )


def _sender(settings: RemindersSettings, places: Places) -> Sender:
    if settings.sms == "console":
        return ConsoleSender(_show)
    account_sid, auth_token = settings.require_twilio({place.clinic for place in places.values()})
    return TwilioSender(account_sid, auth_token, settings.twilio_numbers, settings.twilio_url, settings.public_url)


def _account(settings: RemindersSettings) -> webhooks.Account:
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else None
    return webhooks.Account(settings.twilio_account_sid, token, settings.public_url, settings.twilio_numbers)


def _show(text: OutgoingText) -> None:
    sys.stdout.write(f"[text {text.kind} for {text.clinic}] {text.body}\n")
    sys.stdout.flush()


def main() -> None:
    """Run as a process of its own."""

    def start() -> tuple[FastAPI, RemindersSettings, int]:
        settings = read_settings(RemindersSettings)
        return build(settings, WallClock()), settings, settings.reminders_port

    serve(start)
