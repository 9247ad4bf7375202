"""Courses, contacts, the consent ledger, and texts with what became of them."""

from shared.postgres.migrations import KIT, execute_script

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE courses (
    course_id  uuid PRIMARY KEY,
    patient_id text,                           -- null until booking has told of the course
    location   text,
    owed       uuid[] NOT NULL DEFAULT '{}',   -- sessions for which billing demands money
    waiting    json NOT NULL DEFAULT '[]',     -- what billing told of a course not yet known
    CHECK ((patient_id IS NULL) = (location IS NULL)),
    CHECK (patient_id IS NULL OR json_array_length(waiting) = 0)
);

CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL REFERENCES courses,
    version    int NOT NULL CHECK (version > 0),
    state      text NOT NULL CHECK (state IN
        ('held', 'confirmed', 'checked_in', 'completed', 'missed', 'cancelled', 'released')),
    starts_at  timestamptz NOT NULL,
    ended_at   timestamptz
);
CREATE INDEX sessions_of_course ON sessions (course_id);

CREATE TABLE consents (
    consent_id    uuid PRIMARY KEY,            -- derived from what was recorded: told again, it is the same
    contact_id    text NOT NULL,
    allowed       boolean NOT NULL,
    wording       text NOT NULL,
    source        text NOT NULL,
    recorded_at   timestamptz NOT NULL,
    heard_at      timestamptz NOT NULL,
    phone_version int NOT NULL CHECK (phone_version >= 0)
);
CREATE INDEX consents_of_contact ON consents (contact_id, recorded_at);
COMMENT ON TABLE consents IS 'The consent ledger: only ever added to, kept when a person is erased, without a number.';
REVOKE UPDATE, DELETE ON consents FROM reminders;

CREATE TABLE contacts (
    contact_id    text PRIMARY KEY,
    phone         text CHECK (phone ~ '^\\+[1-9][0-9]{6,14}$'),  -- null: nothing told yet, or erased
    phone_version int NOT NULL DEFAULT 0 CHECK (phone_version >= 0),
    kind          text CHECK (kind IN ('patient', 'companion')),
    locale        text,
    time_zone     text,
    region        text,
    consent_id    uuid REFERENCES consents,    -- the ledger's latest entry
    opted_out     boolean NOT NULL DEFAULT false,
    CHECK ((phone IS NULL) = (time_zone IS NULL)),
    CHECK (region IS NULL OR phone IS NOT NULL)
);

CREATE TABLE texts (
    text_id         uuid PRIMARY KEY,
    course_id       uuid NOT NULL REFERENCES courses,
    contact_id      text NOT NULL,
    kind            text NOT NULL CHECK (kind IN
        ('booked', 'payment_due', 'preparation', 'day_before', 'day_of', 'after_care')),
    session_id      uuid,
    session_version int,
    occasion        date,                      -- the clinic's day that a payment text stands for
    state           text NOT NULL CHECK (state IN
        ('scheduled', 'sending', 'sent', 'failed', 'suppressed', 'unknown')),
    reason          text,
    nominal_at      timestamptz NOT NULL,      -- when the ladder wants it
    due_at          timestamptz NOT NULL,      -- when it is meant to go out, after quiet hours
    look_at         timestamptz NOT NULL,      -- when dispatch looks at it next
    deadline_at     timestamptz NOT NULL,      -- from here on it is useless
    body            text,                      -- as handed to the provider
    segments        int,
    consent_id      uuid REFERENCES consents,  -- what allowed it
    attempts        int NOT NULL DEFAULT 0,
    attempt_id      uuid UNIQUE,               -- written down before the provider is called
    attempted_at    timestamptz,
    lease_until     timestamptz,               -- a process that has not settled by then is dead
    sent_on         date,                      -- the clinic's day of a payment text's attempt
    sent_at         timestamptz,
    provider_sid    text UNIQUE,
    code            text,
    UNIQUE NULLS NOT DISTINCT (course_id, session_id, session_version, kind, contact_id, occasion),
    FOREIGN KEY (session_id) REFERENCES sessions,
    CHECK (nominal_at < deadline_at),
    CHECK ((kind IN ('booked', 'payment_due')) = (session_id IS NULL)),
    CHECK ((kind IN ('preparation', 'day_before', 'day_of')) = (session_version IS NOT NULL)),
    CHECK ((kind = 'payment_due') = (occasion IS NOT NULL)),
    CHECK ((state = 'suppressed') = (reason IS NOT NULL)),
    CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
    CHECK (state NOT IN ('sending', 'sent', 'failed', 'unknown')
        OR (attempt_id IS NOT NULL AND attempted_at IS NOT NULL AND body IS NOT NULL AND segments > 0
            AND consent_id IS NOT NULL AND (sent_on IS NOT NULL) = (kind = 'payment_due'))),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL AND provider_sid IS NOT NULL)),
    CHECK ((state = 'failed') = (code IS NOT NULL))
);
CREATE INDEX texts_waiting ON texts (look_at) WHERE state = 'scheduled';
CREATE INDEX texts_waiting_of_contact ON texts (contact_id) WHERE state = 'scheduled';
CREATE INDEX texts_being_sent ON texts (lease_until) WHERE state = 'sending';
CREATE UNIQUE INDEX one_payment_text_a_day ON texts (course_id, sent_on) WHERE sent_on IS NOT NULL;
COMMENT ON TABLE texts IS 'Every text that a course was ever meant to get, and what became of it.';
"""


def upgrade() -> None:
    execute_script(KIT.read_text())
    execute_script(TABLES)


def downgrade() -> None:
    raise RuntimeError("restore a backup instead")
