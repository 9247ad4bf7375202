"""Booking may have answered a grant of which billing's database knows nothing: it was set back."""

from shared.postgres.migrations import execute_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """One more column."""
    execute_script("ALTER TABLE shares ADD foretold int NOT NULL DEFAULT 0 CHECK (foretold >= 0)")


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("restore a backup instead")
