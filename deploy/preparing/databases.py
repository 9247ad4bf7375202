"""Three databases with a role each, made and migrated by an administrator; services never own their schema."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from shared.configuration.settings import Misconfigured
from shared.postgres.migrations import UnknownRevision, migrate

SERVICES: Final = ("booking", "billing", "reminders")
MIGRATIONS: Final = {s: Path(__file__).parents[2] / "services" / s / "migrations" for s in SERVICES}


def provision(admin_url: str, passwords: Mapping[str, str] | None = None, suffix: str = "") -> dict[str, str]:
    """Make what is missing and bring every database to its newest revision. Safe to call again.

    Not from a running event loop.

    Args:
        admin_url: a superuser's URL of any database of the server.
        passwords: by service; without them the roles have none, which only a server that trusts its socket accepts.
        suffix: appended to the names of the databases, not of the roles.

    Returns:
        Each service's URL of its own database, by its own role.

    Raises:
        Misconfigured: another release made one of the databases; one line that says what to do.
    """
    admin = make_url(admin_url).set(drivername="postgresql+asyncpg")
    asyncio.run(_create(admin, passwords or {}, suffix))
    urls = {}
    for service in SERVICES:
        own = admin.set(database=f"{service}{suffix}")
        try:
            migrate(MIGRATIONS[service], own.render_as_string(hide_password=False))
        except UnknownRevision as error:
            raise Misconfigured(f"{service}'s database is {error}") from None
        role = own.set(drivername="postgresql", username=service, password=(passwords or {}).get(service))
        urls[service] = role.render_as_string(hide_password=False)
    return urls


async def _create(admin: URL, passwords: Mapping[str, str], suffix: str) -> None:
    async with _Autocommit(admin) as connection:
        for service in SERVICES:
            await _create_role(connection, service, passwords.get(service))
            name = f"{service}{suffix}"
            there = await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if not there:
                await connection.execute(text(f'CREATE DATABASE "{name}"'))
            await connection.execute(text(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC'))
            await connection.execute(text(f'GRANT CONNECT ON DATABASE "{name}" TO {service}'))
    for service in SERVICES:
        async with _Autocommit(admin.set(database=f"{service}{suffix}")) as connection:
            await connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
            await connection.execute(
                text(
                    "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
                    f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {service}"
                )
            )


async def _create_role(connection: AsyncConnection, role: str, password: str | None) -> None:
    there = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if not there:
        await connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    if password is not None:
        quoted = await connection.scalar(text("SELECT quote_literal(:password)"), {"password": password})
        await connection.execute(text(f"ALTER ROLE {role} PASSWORD {quoted}".replace(":", r"\:")))


class _Autocommit:
    """A connection outside of transactions: databases cannot be created inside one."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, isolation_level="AUTOCOMMIT")

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._engine.connect()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        await self._engine.dispose()
