"""Alembic's entry: everything stands in the road."""

from shared.postgres.migrations import run_env

run_env()
