"""How Alembic runs this service's migrations."""

from shared.postgres.migrations import run_env

run_env()
