"""Deadlines keep the trace of what set them; open dead letters are counted by an index."""

from shared.postgres.migrations import KIT_TRACES, execute_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Additions only."""
    execute_script(KIT_TRACES.read_text())
