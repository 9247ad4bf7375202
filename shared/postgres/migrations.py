"""Alembic, as all three services use it: migrations are SQL, run by one command with a role that owns the schema."""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, pool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from shared.postgres.pool import Database
from shared.postgres.query import rows

KIT: Final = Path(__file__).with_name("kit.sql")
"""The tables of the road, created by the first migration of every service."""

LOCK: Final = 0x4D494752
"""Advisory lock: of two that migrate at once, the second waits and finds the work done."""


def migrate(folder: Path, url: str) -> None:
    """Bring a database to the newest revision. Safe to call again; not from a running event loop.

    Args:
        folder: a service's `migrations/`.
        url: database URL of a role that owns the schema.
    """
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = make_url(url).set(drivername="postgresql+asyncpg")
    command.upgrade(config, "head")


def revisions(folder: Path) -> list[str]:
    """The revisions that this release knows, the one that it needs first."""
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()]


def newest_revision(folder: Path) -> str:
    """The revision that this release needs."""
    return revisions(folder)[0]


async def revision(database: Database) -> str | None:
    """The revision that the database has."""
    async with database.begin() as connection:
        if not (await rows(connection, "SELECT to_regclass('alembic_version') IS NOT NULL AS there"))[0].there:
            return None
        found = await rows(connection, "SELECT version_num FROM alembic_version")
    return found[0].version_num if found else None


def execute_script(sql: str) -> None:
    """Execute many statements inside the migration's transaction."""
    bind = op.get_bind()
    bind.exec_driver_sql("SELECT 1")  # the driver opens the transaction with its first statement
    await_only(bind.connection.driver_connection.execute(sql))  # type: ignore[union-attr]


def run_env() -> None:
    """The whole of a service's `migrations/env.py`."""
    asyncio.run(_run())


async def _run() -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()
