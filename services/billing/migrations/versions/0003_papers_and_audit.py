"""Papers as they were issued, and who asked for what."""

from shared.postgres.migrations import execute_script

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE papers (
    kind       text NOT NULL CHECK (kind IN ('estimate', 'superbill', 'receipt')),
    paper_id   uuid NOT NULL,
    version    int NOT NULL CHECK (version > 0),
    course_id  uuid NOT NULL REFERENCES accounts,
    patient_id text NOT NULL,
    issued_at  timestamptz NOT NULL,
    digest     text,
    html       text,
    PRIMARY KEY (kind, paper_id, version),
    CHECK ((digest IS NULL) = (html IS NULL))
);
CREATE INDEX papers_of_course ON papers (course_id);
CREATE INDEX papers_of_patient ON papers (patient_id);
COMMENT ON TABLE papers IS 'What patients got, as they got it. An estimate is named by its course, the others by their
session. Personal data: digest and html go when the person is erased.';

CREATE INDEX accounts_of_patient ON accounts (patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX given_of_course ON given (course_id);

CREATE TABLE audit (
    request_id text PRIMARY KEY,
    caller     text NOT NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    detail     text NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX audit_at ON audit (at);
COMMENT ON TABLE audit IS 'Who asked for what over HTTP. entries.cause and waivers.message_id name the request_id.';

REVOKE UPDATE, DELETE ON papers, audit FROM billing;
GRANT UPDATE (digest, html) ON papers TO billing;
"""


def upgrade() -> None:
    """Create the tables, and find a patient's courses and a course's treatments."""
    execute_script(TABLES)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("restore a backup instead")
