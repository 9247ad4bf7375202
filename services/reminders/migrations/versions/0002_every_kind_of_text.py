"""Every kind of text, companions, answers to what people write, delivery, pauses, and numbers as the ledger needs them.

A text's checks are all named here: those of the first revision had the names that PostgreSQL gave them.
"""

from shared.postgres.migrations import execute_script

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE courses ADD treatment text, ADD companions text[] NOT NULL DEFAULT '{}';

DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT conname FROM pg_constraint WHERE conrelid = 'texts'::regclass
                 AND (contype = 'c' OR (contype = 'u' AND array_length(conkey, 1) > 1)) LOOP
        EXECUTE format('ALTER TABLE texts DROP CONSTRAINT %I', found.conname);
    END LOOP;
END $$;

ALTER TABLE texts
    ALTER course_id DROP NOT NULL,
    ADD tells           json NOT NULL DEFAULT '[]',  -- what a correction takes back: [session, when it was to be]
    ADD location        text,                        -- in whose name an answer goes out
    ADD provider_status text,                        -- the provider's last word
    ADD delivered_at    timestamptz,
    ADD search_at       timestamptz,                 -- when the provider's list is looked through for it
    ADD CONSTRAINT known_kind CHECK (kind IN
        ('booked', 'companion_notice', 'payment_due', 'preparation', 'day_before', 'day_of', 'moved', 'cancelled',
         'released', 'after_care', 'next_day', 'evaluation', 'booster_due', 'opt_out_confirmed', 'help',
         'unmonitored_reply')),
    ADD CONSTRAINT known_state CHECK (state IN
        ('scheduled', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'unknown')),
    ADD CONSTRAINT useful_once CHECK (nominal_at < deadline_at),
    ADD CONSTRAINT answers_belong_to_no_course CHECK (
        (kind IN ('opt_out_confirmed', 'help', 'unmonitored_reply')) = (course_id IS NULL)
        AND (course_id IS NULL) = (location IS NOT NULL)),
    ADD CONSTRAINT about_a_session CHECK (
        (kind IN ('preparation', 'day_before', 'day_of', 'moved', 'after_care', 'next_day'))
        = (session_id IS NOT NULL)),
    ADD CONSTRAINT about_a_version CHECK (
        (kind IN ('preparation', 'day_before', 'day_of', 'moved')) = (session_version IS NOT NULL)),
    ADD CONSTRAINT corrections_tell CHECK (
        (kind IN ('moved', 'cancelled', 'released')) = (json_array_length(tells) > 0)),
    ADD CONSTRAINT about_a_day CHECK ((kind = 'payment_due') = (occasion IS NOT NULL)),
    ADD CONSTRAINT suppressed_for_a_reason CHECK ((state = 'suppressed') = (reason IS NOT NULL)),
    ADD CONSTRAINT sending_for_a_time CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
    ADD CONSTRAINT attempt_on_record CHECK (state NOT IN ('sending', 'sent', 'delivered', 'failed', 'unknown')
        OR (attempt_id IS NOT NULL AND attempted_at IS NOT NULL AND body IS NOT NULL AND segments > 0
            AND consent_id IS NOT NULL AND (sent_on IS NOT NULL) = (kind = 'payment_due'))),
    ADD CONSTRAINT sent_under_an_id CHECK ((sent_at IS NOT NULL) = (provider_sid IS NOT NULL)
        AND (state NOT IN ('sent', 'delivered') OR sent_at IS NOT NULL)
        AND (sent_at IS NULL OR state IN ('sent', 'delivered', 'failed'))),
    ADD CONSTRAINT delivered_at_an_instant CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    ADD CONSTRAINT failed_with_a_code CHECK (state <> 'failed' OR code IS NOT NULL),
    ADD CONSTRAINT searched_while_unknown CHECK (search_at IS NULL OR state = 'unknown');

-- Each text of a course once, but for those that tell of an end; and the way to a course's texts.
CREATE UNIQUE INDEX texts_of_course
    ON texts (course_id, session_id, session_version, kind, contact_id, occasion,
              (CASE WHEN kind IN ('cancelled', 'released') THEN text_id END)) NULLS NOT DISTINCT
    WHERE course_id IS NOT NULL;
CREATE INDEX answers_waiting ON texts (look_at) WHERE state = 'scheduled' AND course_id IS NULL;
CREATE INDEX texts_searched ON texts (search_at) WHERE search_at IS NOT NULL;
CREATE INDEX contacts_at_number ON contacts (phone) WHERE phone IS NOT NULL;

CREATE TABLE numbers (
    contact_id    text NOT NULL,
    phone_version int NOT NULL,
    since         timestamptz NOT NULL,
    erased        boolean NOT NULL,
    PRIMARY KEY (contact_id, phone_version, erased)
);
INSERT INTO numbers
    SELECT contact_id, phone_version, '1970-01-01T00:00:00Z', phone IS NULL FROM contacts WHERE phone_version > 0;
COMMENT ON TABLE numbers IS
    'Since when a contact has another number, or none, never which: so the ledger tells any past instant.';
REVOKE UPDATE, DELETE ON numbers FROM reminders;

CREATE TABLE pauses (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope      text NOT NULL CHECK (scope IN ('all', 'clinic', 'contact')),
    subject    text NOT NULL CHECK ((scope = 'all') = (subject = '')),
    paused_at  timestamptz NOT NULL,
    paused_by  text NOT NULL,
    reason     text NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    CHECK ((resumed_at IS NULL) = (resumed_by IS NULL))
);
CREATE UNIQUE INDEX paused_once ON pauses (scope, subject) WHERE resumed_at IS NULL;
COMMENT ON TABLE pauses IS 'What stopped texts, from when to when, by whom and why.';

CREATE TABLE senders (
    clinic  text PRIMARY KEY,
    free_at timestamptz NOT NULL               -- the wall's clock: when the provider has room for the next segment
);
COMMENT ON TABLE senders IS 'How far each clinic''s number is taken, for all replicas together.';
"""


def upgrade() -> None:
    execute_script(TABLES)


def downgrade() -> None:
    raise RuntimeError("restore a backup instead")
