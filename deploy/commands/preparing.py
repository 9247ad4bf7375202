"""What must be there before the services start: databases, topics, profiles in order."""

import asyncio
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.terminal import Exit, Json, err, fail, out, print_json, print_table
from shared.settings import ServiceSettings, read_settings

if TYPE_CHECKING:
    from deploy.profiles import ClinicProfile


def migrate(
    admin: Annotated[
        str, typer.Option(envvar="CHAIRTIME_ADMIN_DATABASE", help="URL of a superuser of the PostgreSQL server")
    ],
) -> None:
    """Create the three databases and roles where they are missing, and bring each to its newest revision.

    The roles' passwords are read from CHAIRTIME_BOOKING_PASSWORD, _BILLING_PASSWORD and _REMINDERS_PASSWORD.
    """
    from sqlalchemy.exc import DBAPIError

    from deploy.databases import SERVICES, provision

    names = {service: f"CHAIRTIME_{service.upper()}_PASSWORD" for service in SERVICES}
    if missing := [name for name in names.values() if not os.environ.get(name)]:
        fail(f"{missing[0]}: is not set", Exit.CONFIG)
    try:
        provision(admin, {service: os.environ[name] for service, name in names.items()})
    except (DBAPIError, OSError) as error:
        fail(f"CHAIRTIME_ADMIN_DATABASE: {type(error).__name__}: no such server, role or database")
    out.print(f"{', '.join(SERVICES)}: at the newest revision")


def topics() -> None:
    """Create the Kafka topics that are missing, with their partitions and retention (CHAIRTIME_KAFKA)."""
    from aiokafka.errors import KafkaError

    from shared.topics import TOPICS, create_topics

    cluster = read_settings(ServiceSettings).cluster
    try:
        made = asyncio.run(create_topics(cluster))
    except (KafkaError, OSError) as error:
        fail(f"CHAIRTIME_KAFKA={cluster.servers}: {type(error).__name__}")
    out.print(f"{len(made)} topics made, {len(TOPICS) - len(made)} were there")


def setup() -> None:
    """`topics` and `migrate` in one: what must be there before the services start. Safe to call again."""
    topics()
    migrate(os.environ.get("CHAIRTIME_ADMIN_DATABASE") or fail("CHAIRTIME_ADMIN_DATABASE: is not set", Exit.CONFIG))


def check(json: Json = False) -> None:
    """Read every clinic's profile (CHAIRTIME_PROFILES) as the services do, and tell what each clinic has.

    A mistake is one line that names file, key and reason; there may be one for each file. Exits 78 then.
    """
    from deploy.profiles import clinics_in, folder_of_profiles, mistakes_in

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
