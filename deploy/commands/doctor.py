"""`chairtime doctor`: is everything there, and if not, what helps."""

import asyncio
import os
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, assert_never

import typer
from dotenv import dotenv_values
from sqlalchemy import make_url

from deploy.commands.terminal import Exit, Json, Key, err, out, print_json, print_table
from deploy.doctor import databases, kafka, outside
from deploy.doctor.finding import Finding, State, failed
from deploy.operating.kafka_account import account_in
from deploy.operating.services import running_up
from deploy.preparing.accounts import ACCOUNTS
from deploy.preparing.databases import SERVICES
from deploy.preparing.profiles import folder_of_profiles
from deploy.preparing.secrets import API_KEYS, TWILIO_AUTH_TOKEN
from deploy.preparing.settings import DatabaseSettings
from services.billing.settings import BillingSettings
from services.booking.settings import BookingSettings
from services.reminders.settings import RemindersSettings
from shared.configuration.clinic import clinic_folders
from shared.configuration.settings import Misconfigured, ServiceSettings, read_settings
from shared.kafka.cluster import Cluster


class Part(StrEnum):
    """What can be looked at by itself."""

    PROFILES = "profiles"
    SERVICES = "services"
    KAFKA = "kafka"
    POSTGRESQL = "postgresql"
    TEXTS = "texts"


STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}


def doctor(
    parts: Annotated[list[Part] | None, typer.Argument(help="look at these alone", metavar="PART")] = None,
    folder: Annotated[Path, typer.Option(help="where .env and secrets/ lie, as chairtime init writes them")] = Path(),
    kafka: Annotated[str | None, typer.Option(envvar="CHAIRTIME_KAFKA", help="host:port")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Look at everything that Chairtime needs, and name the fix for each thing that is wrong.

    The parts: profiles; services over HTTP; kafka, its accounts with their rights, its topics and its clock;
    postgresql, its migrations and its clock; texts, which is Twilio's account and the address at which Twilio calls.
    What is not in the environment is taken from .env and secrets/. Nothing is changed anywhere. What cannot be looked
    at from here is a warning.

    Exits 0 if nothing failed, else 1.
    """
    for name, value in dotenv_values(folder / ".env").items():
        if name.startswith("CHAIRTIME_") and name != "CHAIRTIME_PRODUCTION" and value:
            os.environ.setdefault(name, value)
    found = list[Finding]()
    with err.status("") as status:
        for part in parts or tuple(Part):
            status.update(f"looking at {part} ...")
            try:
                found += _look(part, folder / "secrets", kafka or os.environ.get("CHAIRTIME_KAFKA"), key)
            except Misconfigured as mistake:
                found.append(failed(part, str(mistake), "correct that"))
    counts = Counter(finding.state for finding in found)
    if json:
        print_json({**{state: counts[state] for state in State}, "checks": [asdict(finding) for finding in found]})
    else:
        print_table(("", "check", "what was seen"), ((f.state, f.check, f.told) for f in found))
        for finding in found:
            if finding.fix is not None:
                out.print(f"{finding.check}: {finding.fix}", style=STYLES[finding.state], markup=False)
        out.print(f"{counts[State.OK]} ok, {counts[State.WARNING]} warnings, {counts[State.FAILED]} failed")
    if counts[State.FAILED]:
        raise typer.Exit(Exit.FAILED)


def _look(part: Part, secrets: Path, servers: str | None, key: str | None) -> list[Finding]:
    match part:
        case Part.PROFILES:
            return outside.profiles(folder_of_profiles())
        case Part.SERVICES:
            keys = secrets / API_KEYS
            return asyncio.run(outside.services(key)) + ([outside.api_keys(keys)] if keys.exists() else [])
        case Part.KAFKA:
            return kafka.look(_clusters(secrets, servers))
        case Part.POSTGRESQL:
            return asyncio.run(databases.look(_databases()))
        case Part.TEXTS:
            settings = _reminders(secrets)
            return asyncio.run(outside.texting(settings, set(clinic_folders(folder_of_profiles(), settings.clinics))))
        case _:
            assert_never(part)


def _clusters(secrets: Path, servers: str | None) -> list[Cluster]:
    """The Kafka that is named, or of `chairtime up`; else compose's, as each account whose password is there."""
    servers = servers or (running_up() or {}).get("kafka")
    if servers is not None:
        return [read_settings(ServiceSettings, kafka=servers, production=False).cluster]
    found = [cluster for account in ACCOUNTS if (cluster := account_in(secrets, account)) is not None]
    if not found:
        raise Misconfigured("CHAIRTIME_KAFKA: is not set, no `chairtime up` runs here, and there is no folder secrets")
    return found


def _databases() -> dict[str, str | None]:
    """Each service's URL: its own, else as its role at the administrator's server; None where neither is known."""
    urls: dict[str, str | None] = dict.fromkeys(SERVICES)
    if os.environ.get("CHAIRTIME_ADMIN_DATABASE"):
        settings = read_settings(DatabaseSettings, production=False)
        admin = make_url(settings.admin_url)
        for service, password in settings.passwords.items():
            own = admin.set(username=service, password=password, database=service)
            urls[service] = own.render_as_string(hide_password=False)
    models: dict[str, type[BookingSettings | BillingSettings | RemindersSettings]] = {
        "booking": BookingSettings,
        "billing": BillingSettings,
        "reminders": RemindersSettings,
    }
    for service, model in models.items():
        if os.environ.get(f"CHAIRTIME_{service.upper()}_DATABASE"):
            urls[service] = read_settings(model, kafka="", production=False).database_url
    return urls


def _reminders(secrets: Path) -> RemindersSettings:
    given: dict[str, Any] = {"kafka": "", "reminders_database": "postgresql:///reminders", "production": False}
    token = secrets / TWILIO_AUTH_TOKEN
    if "CHAIRTIME_TWILIO_AUTH_TOKEN" not in os.environ and token.is_file() and (word := token.read_text().strip()):
        given["twilio_auth_token"] = word
    return read_settings(RemindersSettings, **given)
