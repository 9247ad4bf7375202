"""Of some texts only reminders' own topic knows what became of them: their database was set back."""

from shared.postgres.migrations import execute_script

revision = "0006"
down_revision = "0005"

TABLES = """
ALTER TABLE texts
    ADD recalled_at timestamptz,                     -- when it went out, as the topic tells: nothing else is on record
    DROP CONSTRAINT attempt_on_record,
    DROP CONSTRAINT sent_under_an_id,
    DROP CONSTRAINT delivered_at_an_instant,
    DROP CONSTRAINT failed_with_a_code,
    DROP CONSTRAINT searched_while_unknown,
    ADD CONSTRAINT attempt_on_record CHECK (state NOT IN ('sending', 'sent', 'delivered', 'failed', 'unknown')
        OR recalled_at IS NOT NULL
        OR (attempt_id IS NOT NULL AND attempted_at IS NOT NULL AND body IS NOT NULL AND segments > 0
            AND consent_id IS NOT NULL AND (sent_on IS NOT NULL) = (kind = 'payment_due'))),
    ADD CONSTRAINT sent_under_an_id CHECK (recalled_at IS NOT NULL
        OR ((sent_at IS NOT NULL) = (provider_sid IS NOT NULL)
            AND (state NOT IN ('sent', 'delivered') OR sent_at IS NOT NULL)
            AND (sent_at IS NULL OR state IN ('sent', 'delivered', 'failed')))),
    ADD CONSTRAINT delivered_at_an_instant
        CHECK (recalled_at IS NOT NULL OR (state = 'delivered') = (delivered_at IS NOT NULL)),
    ADD CONSTRAINT failed_with_a_code CHECK (recalled_at IS NOT NULL OR state <> 'failed' OR code IS NOT NULL),
    ADD CONSTRAINT searched_while_unknown CHECK (recalled_at IS NOT NULL OR search_at IS NULL OR state = 'unknown'),
    ADD CONSTRAINT recalled_of_what_went_out
        CHECK (recalled_at IS NULL OR state IN ('sent', 'delivered', 'failed'));
"""


def upgrade() -> None:
    """One more column, and checks that allow more than before."""
    execute_script(TABLES)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("restore a backup instead")
