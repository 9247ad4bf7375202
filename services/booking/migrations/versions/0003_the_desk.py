"""Which sessions wait for an insurer, and which link opens a location's calendar."""

from shared.migrations import execute_script

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE awaiting_authorization (
    session_id uuid PRIMARY KEY
);
COMMENT ON TABLE awaiting_authorization IS
    'Sessions of which billing last told that an authorization is missing; every other one waits for money.';

CREATE TABLE calendar_feeds (
    location     text PRIMARY KEY,
    token_sha256 bytea NOT NULL UNIQUE,
    issued_by    text NOT NULL,
    issued_at    timestamptz NOT NULL
);
COMMENT ON TABLE calendar_feeds IS 'The one link that opens a location''s calendar; no row, no link.';
"""


def upgrade() -> None:
    """Two small tables; nothing that is there changes."""
    execute_script(TABLES)
