"""What marks an event as published touches fewer indexes."""

from shared.postgres.migrations import KIT_OUTBOX, execute_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Indexes and room on pages; no row changes."""
    execute_script(KIT_OUTBOX.read_text())
