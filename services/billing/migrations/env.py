"""How Alembic runs billing's migrations."""

from shared.postgres.migrations import run_env

run_env()
