"""`chairtime doctor`: is everything there, and if not, what helps."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from dotenv import dotenv_values
from sqlalchemy import make_url

from deploy.accounts import ACCOUNTS
from deploy.commands.terminal import Exit, Json, Key, err, out, print_json, print_table
from deploy.databases import SERVICES
from deploy.doctor import databases, kafka, outside
from deploy.doctor.finding import Finding, State, failed
from deploy.operator import running_up
from deploy.profiles import clinics_in, folder_of_profiles
from deploy.secrets import TWILIO_AUTH_TOKEN
from services.billing.settings import BillingSettings
from services.booking.settings import BookingSettings
from services.reminders.settings import RemindersSettings
from shared.cluster import Cluster
from shared.settings import Misconfigured, ServiceSettings, read_settings

COMPOSE_KAFKA: Final = "127.0.0.1:9094"
"""Where docker-compose.yml publishes Kafka."""

STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}


def doctor(
    folder: Annotated[
        Path, typer.Option(help="where .env and secrets/ lie, as chairtime init has written them")
    ] = Path(),
    kafka: Annotated[str | None, typer.Option(envvar="CHAIRTIME_KAFKA", help="host:port")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Look at everything that Chairtime needs, and name the fix for each thing that is wrong.

    The services over HTTP; Kafka, its accounts with their rights, its topics and its clock; PostgreSQL, migrations and
    its clock; the profiles; Twilio's account, and the address at which Twilio calls. What is not in the environment is
    taken from .env and secrets/. Nothing is changed anywhere. What cannot be looked at from here is a warning.

    Exits 0 if nothing failed, else 1.
    """
    for name, value in dotenv_values(folder / ".env").items():
        if name.startswith("CHAIRTIME_") and value:
            os.environ.setdefault(name, value)
    with err.status("looking ..."):
        found = list(_look(folder / "secrets", kafka or os.environ.get("CHAIRTIME_KAFKA"), key))
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


def _look(secrets: Path, servers: str | None, key: str | None) -> Iterator[Finding]:
    profiles = folder_of_profiles()
    yield from outside.profiles(profiles)
    yield from asyncio.run(outside.services(key))
    try:
        yield from kafka.look(_clusters(secrets, servers))
    except Misconfigured as mistake:
        yield failed("kafka", str(mistake), "correct that variable")
    yield from asyncio.run(databases.look({service: _database(service) for service in SERVICES}))
    try:
        clinics = {clinic.clinic for clinic in clinics_in(profiles)}
        yield from asyncio.run(outside.texting(_reminders(secrets), clinics))
    except Misconfigured as mistake:
        yield failed("twilio", str(mistake), "correct that")


def _clusters(secrets: Path, servers: str | None) -> list[Cluster]:
    """The accounts to look with: the one in the environment, else each whose password lies in the secrets."""
    files = {account: secrets / f"kafka_{account}_password" for account in ACCOUNTS}
    there = {account: file.read_text() for account, file in files.items() if file.is_file()}
    servers = servers or (running_up() or {}).get("kafka") or (COMPOSE_KAFKA if there else None)
    if servers is None:
        raise Misconfigured("CHAIRTIME_KAFKA: is not set, no `chairtime up` runs here, and there are no secrets")
    settings = read_settings(ServiceSettings, kafka=servers)
    if settings.kafka_user is not None or not there:
        return [settings.cluster]
    return [Cluster(servers, account, password, settings.kafka_ca_file) for account, password in there.items()]


def _database(service: str) -> str | None:
    """A service's own URL, else the administrator's of the same server; None where neither is known."""
    if admin := os.environ.get("CHAIRTIME_ADMIN_DATABASE"):
        given = make_url(admin).set(database=service).render_as_string(hide_password=False)
    if os.environ.get(f"CHAIRTIME_{service.upper()}_DATABASE"):
        match service:
            case "booking":
                return read_settings(BookingSettings, kafka="").database_url
            case "billing":
                return read_settings(BillingSettings, kafka="").database_url
            case _:
                return read_settings(RemindersSettings, kafka="").database_url
    return given if admin else None


def _reminders(secrets: Path) -> RemindersSettings:
    given: dict[str, Any] = {"kafka": "", "reminders_database": "postgresql:///reminders"}
    token = secrets / TWILIO_AUTH_TOKEN
    if "CHAIRTIME_TWILIO_AUTH_TOKEN" not in os.environ and token.is_file() and (word := token.read_text().strip()):
        given["twilio_auth_token"] = word
    return read_settings(RemindersSettings, **given)
