"""What must be there before the services start: databases, topics, profiles in order."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.terminal import Exit, Json, err, fail, out, print_json, print_table
from shared.configuration.settings import ServiceSettings, read_settings

if TYPE_CHECKING:
    from deploy.preparing.profiles import ClinicProfile


def migrate(json: Json = False) -> None:
    """Create the three databases and roles where they are missing, and bring each to its newest revision.

    CHAIRTIME_ADMIN_DATABASE is a superuser's URL, his password in it or in CHAIRTIME_ADMIN_DATABASE_PASSWORD; the
    roles' are CHAIRTIME_BOOKING_DATABASE_PASSWORD, _BILLING_ and _REMINDERS_. Each may be a file in CHAIRTIME_SECRETS.
    Exits 78 where another release made a database.
    """
    from sqlalchemy.exc import DBAPIError

    from deploy.preparing.databases import MIGRATIONS, SERVICES, provision
    from deploy.preparing.settings import DatabaseSettings
    from shared.postgres.migrations import newest_revision

    settings = read_settings(DatabaseSettings)
    try:
        with err.status("migrating ..."):
            provision(settings.admin_url, settings.passwords)
    except (DBAPIError, OSError) as error:
        line = f"CHAIRTIME_ADMIN_DATABASE: {type(error).__name__}: no such server, role or database"
        fail(line, Exit.UNAVAILABLE)
    if json:
        return print_json({service: newest_revision(MIGRATIONS[service]) for service in SERVICES})
    return out.print(f"{', '.join(SERVICES)}: at the newest revision")


def topics(
    copies: Annotated[int, typer.Option(help="brokers that have each topic that is made", min=1)] = 1,
    accounts: Annotated[
        bool, typer.Option(help="make the accounts at Kafka, too, each with exactly its rights")
    ] = False,
    json: Json = False,
) -> None:
    """Create the Kafka topics that are missing, with their partitions and retention (CHAIRTIME_KAFKA).

    With --accounts, CHAIRTIME_KAFKA_USER is Kafka's administrator, and the accounts' passwords are
    CHAIRTIME_KAFKA_BOOKING_PASSWORD, _BILLING_, _REMINDERS_ and _CLINIC_. Each may be a file in CHAIRTIME_SECRETS.
    """
    from aiokafka.errors import KafkaError
    from confluent_kafka import KafkaException

    from deploy.operating.kafka_account import trouble
    from deploy.preparing.accounts import grant
    from deploy.preparing.settings import AccountSettings
    from shared.kafka.topics import TOPICS, create_topics

    settings = read_settings(AccountSettings if accounts else ServiceSettings)
    cluster = settings.cluster
    try:
        with err.status("making topics ..."):
            made = asyncio.run(create_topics(cluster, copies))
        told: dict[str, object] = {"made": made, "there": len(TOPICS) - len(made)}
        if isinstance(settings, AccountSettings):
            with err.status("giving rights ..."):
                added, taken = grant(cluster, settings.passwords)
            told |= {"accounts": len(settings.passwords), "rights_added": added, "rights_taken_away": taken}
    except KafkaException as error:
        raise trouble(cluster, error) from None
    except (KafkaError, OSError) as error:
        fail(f"CHAIRTIME_KAFKA={cluster.servers}: {type(error).__name__}", Exit.UNAVAILABLE)
    if json:
        return print_json(told)
    out.print(f"{len(made)} topics made, {told['there']} were there")
    if accounts:
        out.print(f"{told['accounts']} accounts: {added} rights added, {taken} taken away")
    return None


def setup() -> None:
    """`topics` and `migrate` in one: what must be there before the services start. Safe to call again."""
    topics()
    migrate()


def check(json: Json = False) -> None:
    """Read every clinic's profile (CHAIRTIME_PROFILES) as the services do, and tell what each clinic has.

    A mistake is one line that names file, key and reason; there may be one for each file. Exits 78 then.
    """
    from deploy.preparing.profiles import clinics_in, folder_of_profiles, mistakes_in

    folder = folder_of_profiles()
    mistakes = mistakes_in(folder)
    clinics = [] if mistakes else clinics_in(folder)
    if json:
        print_json({"profiles": str(folder), "mistakes": mistakes, "clinics": [asdict(clinic) for clinic in clinics]})
    elif clinics:
        columns = ("clinic", "locations", "chairs", "providers", "treatments", "packages", "texts", "languages")
        print_table(columns, (_shown(clinic) for clinic in clinics))
        out.print(f"all profiles in {folder} are in order")
    if mistakes:
        fail("\n".join(mistakes), Exit.CONFIG)
    for clinic in clinics:
        for treatment in clinic.unpriced:
            err.print(f"{clinic.clinic}/billing.toml: treatments.{treatment}: has no price, so nobody can book it")


def _shown(clinic: "ClinicProfile") -> tuple[object, ...]:
    places = ", ".join(f"{name} ({zone})" for name, zone in clinic.locations.items())
    lists = (", ".join(clinic.treatments), ", ".join(clinic.packages), clinic.texts, ", ".join(clinic.languages))
    return clinic.clinic, places, clinic.chairs, clinic.providers, *lists
