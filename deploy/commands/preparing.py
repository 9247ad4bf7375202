"""What must be there before the services start: databases, topics, profiles in order."""

import asyncio
import os
from typing import Annotated

import typer

from deploy.commands.terminal import Exit, fail, out
from shared.settings import ServiceSettings, read_settings


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


def check() -> None:
    """Read every clinic's profile and say what is wrong with the first that is."""
    from deploy.embedded import check_profiles

    out.print(f"all profiles in {check_profiles()} are in order")
