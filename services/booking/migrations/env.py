"""Alembic's way into this service's migrations."""

from shared.migrations import run_env

run_env()
