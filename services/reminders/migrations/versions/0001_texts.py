"""Courses, contacts, the consent ledger, texts with what became of them, and what people write back."""

from shared.postgres.migrations import KIT, execute_script

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE courses (
    course_id  uuid PRIMARY KEY,
    patient_id text,                           -- null until booking has told of the course
    location   text,
    treatment  text,
    companions text[] NOT NULL DEFAULT '{}',
    owed       uuid[] NOT NULL DEFAULT '{}',   -- sessions for which billing demands money
    waiting    json NOT NULL DEFAULT '[]',     -- what billing told of a course not yet known
    CHECK ((patient_id IS NULL) = (location IS NULL)),
    CHECK (patient_id IS NULL OR json_array_length(waiting) = 0)
) WITH (fillfactor = 50);  -- here and below: room for the versions that follow, beside the first

CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL REFERENCES courses,
    version    int NOT NULL CHECK (version > 0),
    state      text NOT NULL CHECK (state IN
        ('held', 'confirmed', 'checked_in', 'completed', 'missed', 'cancelled', 'released')),
    starts_at  timestamptz NOT NULL,
    ended_at   timestamptz
) WITH (fillfactor = 50);
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
CREATE INDEX contacts_at_number ON contacts (phone) WHERE phone IS NOT NULL;

CREATE TABLE numbers (
    contact_id    text NOT NULL,
    phone_version int NOT NULL,
    since         timestamptz NOT NULL,
    erased        boolean NOT NULL,
    PRIMARY KEY (contact_id, phone_version, erased)
);
COMMENT ON TABLE numbers IS
    'Since when a contact has another number, or none, never which: so the ledger tells any past instant.';

CREATE TABLE texts (
    text_id         uuid PRIMARY KEY,
    course_id       uuid REFERENCES courses,   -- null: it answers what somebody wrote
    contact_id      text NOT NULL,
    kind            text NOT NULL,
    session_id      uuid REFERENCES sessions,
    session_version int,
    occasion        date,                      -- the clinic's day that a payment text stands for
    tells           json NOT NULL DEFAULT '[]',  -- what a correction takes back: [session, when it was to be]
    location        text,                      -- in whose name an answer goes out
    state           text NOT NULL,
    reason          text,
    nominal_at      timestamptz NOT NULL,      -- when the ladder wants it
    due_at          timestamptz NOT NULL,      -- when it is meant to go out, after quiet hours
    look_at         timestamptz NOT NULL,      -- when dispatch looks at it next
    deadline_at     timestamptz NOT NULL,      -- from here on it is useless
    body            text,                      -- as handed to the provider
    segments        int,
    consent_id      uuid REFERENCES consents,  -- what allowed it
    attempts        int NOT NULL DEFAULT 0,
    attempt_id      uuid,                      -- written down before the provider is called
    attempted_at    timestamptz,
    lease_until     timestamptz,               -- a process that has not settled by then is dead
    sent_on         date,                      -- the clinic's day of a payment text's attempt
    sent_at         timestamptz,
    provider_sid    text,
    provider_status text,                      -- the provider's last word
    delivered_at    timestamptz,
    code            text,
    search_at       timestamptz,               -- when the provider's list is looked through for it
    recalled_at     timestamptz,               -- when it went out, as the topic tells: nothing else is on record
    traceparent     text,                      -- the trace of what planned it
    CONSTRAINT known_kind CHECK (kind IN
        ('booked', 'companion_notice', 'payment_due', 'preparation', 'day_before', 'day_of', 'moved', 'cancelled',
         'released', 'after_care', 'next_day', 'evaluation', 'booster_due', 'opt_out_confirmed', 'help',
         'unmonitored_reply')),
    CONSTRAINT known_state CHECK (state IN
        ('scheduled', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'unknown')),
    CONSTRAINT useful_once CHECK (nominal_at < deadline_at),
    CONSTRAINT answers_belong_to_no_course CHECK (
        (kind IN ('opt_out_confirmed', 'help', 'unmonitored_reply')) = (course_id IS NULL)
        AND (course_id IS NULL) = (location IS NOT NULL)),
    CONSTRAINT about_a_session CHECK (
        (kind IN ('preparation', 'day_before', 'day_of', 'moved', 'after_care', 'next_day'))
        = (session_id IS NOT NULL)),
    CONSTRAINT about_a_version CHECK (
        (kind IN ('preparation', 'day_before', 'day_of', 'moved')) = (session_version IS NOT NULL)),
    CONSTRAINT corrections_tell CHECK (
        (kind IN ('moved', 'cancelled', 'released')) = (json_array_length(tells) > 0)),
    CONSTRAINT about_a_day CHECK ((kind = 'payment_due') = (occasion IS NOT NULL)),
    CONSTRAINT suppressed_for_a_reason CHECK ((state = 'suppressed') = (reason IS NOT NULL)),
    CONSTRAINT sending_for_a_time CHECK ((state = 'sending') = (lease_until IS NOT NULL)),
    -- Of a text that is recalled, only what the topic tells is known.
    CONSTRAINT recalled_of_what_went_out
        CHECK (recalled_at IS NULL OR state IN ('sent', 'delivered', 'failed')),
    CONSTRAINT attempt_on_record CHECK (state NOT IN ('sending', 'sent', 'delivered', 'failed', 'unknown')
        OR recalled_at IS NOT NULL
        OR (attempt_id IS NOT NULL AND attempted_at IS NOT NULL AND body IS NOT NULL AND segments > 0
            AND consent_id IS NOT NULL AND (sent_on IS NOT NULL) = (kind = 'payment_due'))),
    CONSTRAINT sent_under_an_id CHECK (recalled_at IS NOT NULL
        OR ((sent_at IS NOT NULL) = (provider_sid IS NOT NULL)
            AND (state NOT IN ('sent', 'delivered') OR sent_at IS NOT NULL)
            AND (sent_at IS NULL OR state IN ('sent', 'delivered', 'failed')))),
    CONSTRAINT delivered_at_an_instant
        CHECK (recalled_at IS NOT NULL OR (state = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT failed_with_a_code CHECK (recalled_at IS NOT NULL OR state <> 'failed' OR code IS NOT NULL),
    CONSTRAINT searched_while_unknown CHECK (recalled_at IS NOT NULL OR search_at IS NULL OR state = 'unknown')
);
-- Each text of a course once, but for those that tell of an end; and the way to a course's texts.
CREATE UNIQUE INDEX texts_of_course
    ON texts (course_id, session_id, session_version, kind, contact_id, occasion,
              (CASE WHEN kind IN ('cancelled', 'released') THEN text_id END)) NULLS NOT DISTINCT
    WHERE course_id IS NOT NULL;
CREATE UNIQUE INDEX one_payment_text_a_day ON texts (course_id, sent_on) WHERE sent_on IS NOT NULL;
CREATE INDEX texts_waiting ON texts (look_at) WHERE state = 'scheduled';
CREATE INDEX texts_waiting_of_contact ON texts (contact_id) WHERE state = 'scheduled';
CREATE INDEX texts_being_sent ON texts (lease_until) WHERE state = 'sending';
CREATE INDEX texts_searched ON texts (search_at) WHERE search_at IS NOT NULL;
CREATE INDEX texts_known_of ON texts (contact_id) WHERE state IN ('sent', 'delivered');
CREATE INDEX answers_waiting ON texts (look_at) WHERE state = 'scheduled' AND course_id IS NULL;
CREATE INDEX answers_of_contact ON texts (contact_id) WHERE course_id IS NULL;
-- Partial, so that a text which has not been sent stands in neither.
CREATE UNIQUE INDEX one_text_for_an_attempt ON texts (attempt_id) WHERE attempt_id IS NOT NULL;
CREATE UNIQUE INDEX one_text_for_a_sid ON texts (provider_sid) WHERE provider_sid IS NOT NULL;
COMMENT ON TABLE texts IS 'Every text that a course was ever meant to get, and what became of it.';

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

CREATE TABLE stops (
    clinic      text PRIMARY KEY,              -- whose number the provider refuses; empty: the whole account
    began_at    timestamptz NOT NULL,
    told_at     timestamptz NOT NULL,          -- when it was last refused: what was begun before tells nothing new
    code        text NOT NULL,
    tries       int NOT NULL CHECK (tries > 0),
    next_try_at timestamptz NOT NULL
);
COMMENT ON TABLE stops IS 'Whose texts the provider takes none of for now, and when it is tried again with one.';

CREATE TABLE phones (
    conversation_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),  -- stands in keys and logs: says nothing of the number
    phone           text UNIQUE CHECK (phone ~ '^\\+[1-9][0-9]{6,14}$'),  -- null: erased
    asked           text CHECK (asked IN ('confirm', 'cannot_come')),    -- of which appointment we asked for the time
    asked_at        timestamptz,
    answered        timestamptz[] NOT NULL DEFAULT '{}',                 -- when our answers of the last day went out
    CHECK ((asked IS NULL) = (asked_at IS NULL))
);
COMMENT ON TABLE phones IS 'Phones from which somebody wrote: a conversation belongs to one, whoever has the number.';

CREATE TABLE replies (
    sid             text PRIMARY KEY CHECK (sid ~ '^(SM|MM)[0-9a-fA-F]{32}$'),
    conversation_id uuid NOT NULL REFERENCES phones,
    contact_id      text,                      -- null: nobody has the number that it came from
    course_id       uuid,
    session_id      uuid,
    intent          text NOT NULL CHECK (intent IN
        ('confirm', 'cannot_come', 'opt_out', 'opt_in', 'help', 'unclear')),
    body            text,                      -- null: the person was erased
    received_at     timestamptz NOT NULL
);
CREATE INDEX replies_of_contact ON replies (contact_id, received_at, sid);
CREATE INDEX replies_by_time ON replies (received_at, sid);
CREATE INDEX replies_of_conversation ON replies (conversation_id);
COMMENT ON TABLE replies IS 'What people wrote, and what was made of it.';

CREATE TABLE stray_reports (
    sid         text NOT NULL,
    status      text NOT NULL,
    code        text NOT NULL DEFAULT '',
    attempt_id  uuid,
    reported_at timestamptz NOT NULL,
    PRIMARY KEY (sid, status, code)
);
COMMENT ON TABLE stray_reports IS 'What the provider told of messages of this account that are none of ours.';

CREATE TABLE audit (
    request_id text PRIMARY KEY,
    caller     text NOT NULL,
    action     text NOT NULL CHECK (action IN ('consent', 'pause', 'resume')),
    subject    text NOT NULL,
    detail     text NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX audit_at ON audit (at);
COMMENT ON TABLE audit IS 'Who asked for what over HTTP.';

REVOKE UPDATE, DELETE ON consents, numbers, audit FROM reminders;  -- only ever added to
"""


def upgrade() -> None:
    """The road's tables, then reminders' own."""
    execute_script(KIT.read_text())
    execute_script(TABLES)
