"""Which sessions wait for an insurer, what their patients replied, and which link opens a location's calendar."""

from shared.postgres.migrations import execute_script

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE awaiting_authorization (
    session_id uuid PRIMARY KEY
);
COMMENT ON TABLE awaiting_authorization IS
    'Sessions of which billing last told that an authorization is missing; every other one waits for money.';

CREATE TABLE replies (
    session_id uuid PRIMARY KEY REFERENCES sessions (session_id),
    intent     text NOT NULL,
    starts_at  timestamptz NOT NULL
);
COMMENT ON TABLE replies IS 'What a patient last wrote back about an appointment, as it was then; never their words.';

CREATE TABLE calendar_feeds (
    location     text PRIMARY KEY,
    token_sha256 bytea NOT NULL UNIQUE,
    issued_by    text NOT NULL,
    issued_at    timestamptz NOT NULL
);
COMMENT ON TABLE calendar_feeds IS 'The one link that opens a location''s calendar; no row, no link.';
"""


def upgrade() -> None:
    """Three small tables; nothing that is there changes."""
    execute_script(TABLES)
