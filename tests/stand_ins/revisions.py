"""Databases that another release made."""

import asyncpg


async def set_revision(url: str, revision: str | None) -> None:
    """Let a database say that it is at this revision, or at none."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DELETE FROM alembic_version")
        if revision is not None:
            await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
    finally:
        await connection.close()
