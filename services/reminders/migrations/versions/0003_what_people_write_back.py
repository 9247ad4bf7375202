"""Phones and what was said on them, reports of messages that nobody knows, and who did what by HTTP."""

from shared.postgres.migrations import execute_script

revision = "0003"
down_revision = "0002"

TABLES = """
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
REVOKE UPDATE, DELETE ON audit FROM reminders;

CREATE INDEX texts_known_of ON texts (contact_id) WHERE state IN ('sent', 'delivered');
CREATE INDEX answers_of_contact ON texts (contact_id) WHERE course_id IS NULL;
"""


def upgrade() -> None:
    execute_script(TABLES)


def downgrade() -> None:
    raise RuntimeError("restore a backup instead")
