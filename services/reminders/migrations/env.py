"""Alembic's entry: everything stands in the kit."""

from shared.postgres.migrations import run_env

run_env()
