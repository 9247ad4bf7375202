"""Courses, their sessions, closures, the desk, and the constraints that make a double booking impossible."""

from shared.postgres.migrations import KIT, execute_script

revision = "0001"
down_revision = None

TABLES = """
-- Who or what is taken, and when, as one box: the name's hash across, microseconds upwards. Boxes that touch overlap,
-- so each ends a microsecond early. It needs no extension and costs half of two ranges. Two names share a hash
-- once in 2^53.
CREATE FUNCTION taken(name text, starts_at timestamptz, ends_at timestamptz) RETURNS box
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN box(
        point(hashtextextended(name, 0), extract(epoch FROM starts_at - timestamptz '2000-01-01Z') * 1000000),
        point(hashtextextended(name, 0), extract(epoch FROM ends_at - timestamptz '2000-01-01Z') * 1000000 - 1));

CREATE TABLE courses (
    course_id       uuid PRIMARY KEY,
    state           text NOT NULL CHECK (state IN ('awaited', 'accepted', 'rejected', 'completed', 'closed')),
    request         jsonb,                     -- as it stands
    original        jsonb,                     -- what was asked for first, where `request` has been changed since
    patient_id      text,
    location        text,
    hold_expires_at timestamptz,
    hold_open       boolean NOT NULL,
    waiting         jsonb NOT NULL,            -- what must be decided later
    CHECK (state = 'awaited' OR request IS NOT NULL),
    CHECK (NOT hold_open OR hold_expires_at IS NOT NULL)
);

CREATE TABLE sessions (
    session_id     uuid NOT NULL,
    course_id      uuid NOT NULL REFERENCES courses,
    number         int NOT NULL CHECK (number > 0),
    state          text NOT NULL
                   CHECK (state IN ('held', 'confirmed', 'checked_in', 'completed', 'missed', 'cancelled', 'released')),
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    time_zone      text NOT NULL,
    -- The time on the wall is kept as it was told to the patient: where a zone's rules change, sessions of which it is
    -- not `starts_at AT TIME ZONE time_zone` any more are those to look at.
    wall_time      timestamp NOT NULL GENERATED ALWAYS AS (starts_at AT TIME ZONE time_zone) STORED,
    location       text NOT NULL,
    chair          text NOT NULL,
    provider       text NOT NULL,
    provider_from  timestamptz,                -- where the provider stays for a part of the visit only
    provider_until timestamptz,
    patient_id     text NOT NULL,
    version        int NOT NULL CHECK (version > 0),
    "grant"        int NOT NULL CHECK ("grant" >= 0),  -- the last that was answered
    here_at        timestamptz,                -- of a check-in before it was paid
    -- No index may look at the state itself, or every confirmation would have to be indexed anew.
    occupies       boolean NOT NULL GENERATED ALWAYS AS (state IN ('held', 'confirmed', 'checked_in')) STORED,
    chair_taken    box NOT NULL GENERATED ALWAYS AS (taken(location || '/' || chair, starts_at, ends_at)) STORED,
    provider_taken box NOT NULL GENERATED ALWAYS AS (
        taken(location || '/' || provider, coalesce(provider_from, starts_at), coalesce(provider_until, ends_at))
    ) STORED,
    patient_taken  box NOT NULL GENERATED ALWAYS AS (taken(patient_id, starts_at, ends_at)) STORED,
    PRIMARY KEY (course_id, session_id),
    UNIQUE (course_id, number),
    CHECK (starts_at < ends_at),
    CHECK (starts_at <= provider_from AND provider_from < provider_until AND provider_until <= ends_at),
    CHECK ((provider_from IS NULL) = (provider_until IS NULL)),
    -- Never confirmed without a grant; what is completed may have been given unpaid, and a person hears of it.
    CHECK (state NOT IN ('confirmed', 'checked_in') OR "grant" > 0),
    CONSTRAINT one_patient_in_a_chair EXCLUDE USING gist (chair_taken WITH &&) WHERE (occupies),
    CONSTRAINT one_patient_for_a_provider EXCLUDE USING gist (provider_taken WITH &&) WHERE (occupies),
    CONSTRAINT one_place_for_a_patient EXCLUDE USING gist (patient_taken WITH &&) WHERE (occupies)
) WITH (fillfactor = 50);  -- room for the versions that follow, beside the first
CREATE UNIQUE INDEX one_course_for_a_session ON sessions (session_id);
CREATE INDEX sessions_of_a_day ON sessions (location, starts_at);

CREATE TABLE closures (
    closure_id uuid PRIMARY KEY,
    location   text NOT NULL,
    chair      text,
    provider   text,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    concerned  json NOT NULL,
    CHECK (starts_at < ends_at),
    CHECK (chair IS NULL OR provider IS NULL)
);
CREATE INDEX closures_of_a_place ON closures (location, ends_at);
COMMENT ON TABLE closures IS 'Where nobody can sit for a while: a chair, a provider, or the whole place.';

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
    """The road's tables, then booking's own."""
    execute_script(KIT.read_text())
    execute_script(TABLES)
