"""What plans, changes and closures need: the zone beside the instant, a provider's share of a visit, closures."""

from shared.postgres.migrations import execute_script

revision = "0002"
down_revision = "0001"

TABLES = """
-- What was asked for first, where `request` has been changed since.
ALTER TABLE courses ADD COLUMN original jsonb;

-- The time on the wall is kept as it was told to the patient: where a zone's rules change, sessions of which it is not
-- `starts_at AT TIME ZONE time_zone` any more are those to look at.
ALTER TABLE sessions ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';
UPDATE sessions s SET time_zone = told.zone
FROM (SELECT one->>'session_id' AS id, one->>'time_zone' AS zone
      FROM outbox,
           jsonb_array_elements(
               CASE WHEN topic = 'booking.events' THEN CAST(convert_from(value, 'UTF8') AS jsonb)->'sessions' END
           ) AS one) told
WHERE CAST(s.session_id AS text) = told.id;
ALTER TABLE sessions
    ALTER COLUMN time_zone DROP DEFAULT,
    ADD COLUMN wall_time timestamp NOT NULL GENERATED ALWAYS AS (starts_at AT TIME ZONE time_zone) STORED,
    -- Where a provider stays for a part of the visit only.
    ADD COLUMN provider_from timestamptz,
    ADD COLUMN provider_until timestamptz,
    ADD CHECK (starts_at <= provider_from AND provider_from < provider_until AND provider_until <= ends_at),
    ADD CHECK ((provider_from IS NULL) = (provider_until IS NULL)),
    DROP CONSTRAINT one_patient_for_a_provider,
    DROP COLUMN provider_taken;
ALTER TABLE sessions
    ADD COLUMN provider_taken box NOT NULL GENERATED ALWAYS AS (
        taken(location || '/' || provider, coalesce(provider_from, starts_at), coalesce(provider_until, ends_at))
    ) STORED,
    ADD CONSTRAINT one_patient_for_a_provider EXCLUDE USING gist (provider_taken WITH &&) WHERE (occupies);

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
"""


def upgrade() -> None:
    """Additions only."""
    execute_script(TABLES)
