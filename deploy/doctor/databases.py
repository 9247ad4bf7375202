"""PostgreSQL: whether each service's role gets in, what it may do, the newest revision, and the server's clock."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import make_url

from deploy.doctor.finding import Finding, clock, failed, ok, warning
from deploy.preparing.databases import MIGRATIONS
from shared.postgres.migrations import mismatch, revision
from shared.postgres.pool import Database, sqlstate
from shared.postgres.query import rows

SECONDS: Final = 10

_REASONS: Final = {
    "28P01": (
        "the password is not accepted",
        "correct {variable}_PASSWORD, or run chairtime migrate with the one that is",
    ),
    "28000": ("the role is not let in", "run chairtime migrate, which makes roles and databases"),
    "3D000": ("there is no such database", "run chairtime migrate"),
    "42501": ("the role may not read its tables", "run chairtime migrate, which grants it"),
}
"""PostgreSQL's codes: what they mean here, and what helps."""


async def look(urls: Mapping[str, str | None]) -> list[Finding]:
    """What there is to say of each service's database.

    Args:
        urls: by service; None where this place does not know it.
    """
    found = await asyncio.gather(*(_look(service, url) for service, url in urls.items()))
    return [finding for findings in found for finding in findings]


async def _look(service: str, url: str | None) -> list[Finding]:
    variable = f"CHAIRTIME_{service.upper()}_DATABASE"
    check = f"postgresql {service}"
    if url is None:
        fix = f"set {variable}, or look from inside: docker compose run --rm migrate doctor postgresql"
        return [warning(check, f"not looked at: {variable} is not set", fix)]
    shown = make_url(url)
    where = f"{shown.username or 'postgres'} at {shown.host or shown.query.get('host', 'localhost')}/{shown.database}"
    database = Database(url, pool_size=1)
    try:
        async with asyncio.timeout(SECONDS):
            async with database.begin() as connection:
                before = datetime.now(UTC)
                (server,) = await rows(
                    connection,
                    """SELECT clock_timestamp() AS now, current_setting('server_version') AS version,
                              (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super""",
                )
                after = datetime.now(UTC)
            there = await revision(database)
    except (PostgresError, InterfaceError) as error:
        told, fix = _REASONS.get(sqlstate(error), (type(error).__name__, "look into PostgreSQL's log"))
        return [failed(check, f"{where}: {told}", fix.format(variable=variable))]
    except (OSError, TimeoutError):
        return [failed(check, f"{where}: no PostgreSQL answers", f"start PostgreSQL, or correct {variable}")]
    finally:
        await database.close()
    ahead = (server.now - (before + (after - before) / 2)).total_seconds()
    return [
        ok(check, f"{where}, PostgreSQL {server.version}")
        if not server.super
        else warning(check, f"{where}: the role is a superuser", f"name the role {service} in {variable}"),
        _revision(service, there),
        clock(f"clock postgresql {service}", "PostgreSQL's clock", ahead),
    ]


def _revision(service: str, there: str | None) -> Finding:
    check = f"migrations {service}"
    if wrong := mismatch(MIGRATIONS[service], there):
        return failed(check, *wrong)
    return ok(check, f"at revision {there}, the newest")
