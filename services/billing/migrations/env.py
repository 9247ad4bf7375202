"""How Alembic runs billing's migrations."""

from shared.migrations import run_env

run_env()
