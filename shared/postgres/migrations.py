"""Alembic, as all three services use it: migrations are SQL, run by one command with a role that owns the schema."""

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

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


class Mismatch(NamedTuple):
    """A database that this release cannot work on.

    Attributes:
        told: at which revision it is.
        fix: what to do.
    """

    told: str
    fix: str


class UnknownRevision(Exception):
    """A database is at a revision that this release does not have. Its text says which, and what to do."""


def migrate(folder: Path, url: str) -> None:
    """Bring a database to the newest revision. Safe to call again; not from a running event loop.

    Args:
        folder: a service's `migrations/`.
        url: database URL of a role that owns the schema.

    Raises:
        UnknownRevision: another release made the database; nothing in it is changed.
    """
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["url"] = make_url(url).set(drivername="postgresql+asyncpg")
    command.upgrade(config, "head")


def newest_revision(folder: Path) -> str:
    """The revision that this release needs."""
    return _known(ScriptDirectory(str(folder)))[0]


def mismatch(folder: Path, there: str | None) -> Mismatch | None:
    """What is wrong with a database at this revision; None where it is the one that this release needs.

    Args:
        folder: a service's `migrations/`.
        there: the database's revision, None where nothing was migrated yet.
    """
    needed, *older = _known(ScriptDirectory(str(folder)))
    if there == needed:
        return None
    if there is None or there in older:
        return Mismatch(f"at revision {there or 'none'}, not {needed}", "run chairtime migrate")
    return _unknown(there)


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
        there = context.get_context().get_current_revision()
        if there is not None and there not in _known(context.script):
            raise UnknownRevision(": ".join(_unknown(there)))
        context.run_migrations()


def _known(scripts: ScriptDirectory) -> list[str]:
    """The revisions that this release has, the one that it needs first."""
    return [script.revision for script in scripts.walk_revisions()]


def _unknown(there: str) -> Mismatch:
    return Mismatch(
        f"at revision {there}, which this release does not know",
        "run the release that made it, or begin with a fresh database",
    )
