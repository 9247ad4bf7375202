"""A text that has not been sent stands in fewer indexes; sessions and courses have room for their next version."""

from shared.postgres.migrations import KIT_OUTBOX, execute_script

revision = "0005"
down_revision = "0004"

TABLES = """
ALTER TABLE texts DROP CONSTRAINT texts_attempt_id_key, DROP CONSTRAINT texts_provider_sid_key;
CREATE UNIQUE INDEX one_text_for_an_attempt ON texts (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE UNIQUE INDEX one_text_for_a_sid ON texts (provider_sid) WHERE provider_sid IS NOT NULL;
ALTER TABLE courses SET (fillfactor = 50);
ALTER TABLE sessions SET (fillfactor = 50);
"""


def upgrade() -> None:
    """Indexes and room on pages; no row changes."""
    execute_script(KIT_OUTBOX.read_text())
    execute_script(TABLES)
