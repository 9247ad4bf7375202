-- The tables that every service's database has: the road of messages, without any rule of a service.
-- Read by the first migration of each service; after a release a change is a migration of its own.

CREATE TABLE inbox (
    id          text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 100),
    digest      bytea NOT NULL,                -- of type and data: the same id with another payload is an alarm
    type        text NOT NULL,
    received_at timestamptz NOT NULL,
    answer      json                           -- what an HTTP caller was told: the decision's events
);
COMMENT ON TABLE inbox IS 'Every message that had its effect; a repeat is recognized by its id.';

CREATE TABLE heard (
    topic       text NOT NULL,
    partition   int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE heard IS 'How far this service has read each partition, written with the effects: the fence stands on it.';

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     text NOT NULL UNIQUE,
    topic        text NOT NULL,
    key          bytea,
    value        bytea,
    headers      bytea NOT NULL,               -- JSON list of [name, value in Latin-1 or null]: any bytes survive
    created_at   timestamptz NOT NULL,
    published_at timestamptz,
    partition    int,
    kafka_offset bigint
);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_by_time ON outbox USING brin (created_at);  -- for the purge; to mark an event costs it nothing
COMMENT ON TABLE outbox IS 'Events in the order in which they were decided; one relay publishes them.';

CREATE TABLE timers (
    aggregate   text NOT NULL,
    kind        text NOT NULL,
    subject     text NOT NULL,                 -- a session id, or empty
    due_at      timestamptz NOT NULL,
    id          uuid NOT NULL DEFAULT gen_random_uuid(),  -- of this setting: what it causes is told once
    traceparent text,                          -- the trace of what set it
    PRIMARY KEY (aggregate, kind, subject)
);
CREATE INDEX timers_due ON timers (due_at);
COMMENT ON TABLE timers IS 'Deadlines that rules have set; delivered to the same rules when due and when the fence is passed.';

CREATE TABLE dead_letters (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id   text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('unreadable', 'defect', 'held_back')),
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'retried', 'discarded')),
    aggregate    text,
    error_type   text NOT NULL,
    error        text NOT NULL,
    topic        text NOT NULL,
    partition    int NOT NULL,
    kafka_offset bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    key          bytea,
    value        bytea,
    headers      bytea NOT NULL,
    arrived_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text,
    reason       text,
    CHECK ((status = 'open') = (ended_at IS NULL))
);
CREATE INDEX dead_letters_open ON dead_letters (aggregate, id) WHERE status = 'open' AND aggregate IS NOT NULL;
CREATE INDEX dead_letters_waiting ON dead_letters (kind) WHERE status = 'open';  -- they are counted at each scrape
COMMENT ON TABLE dead_letters IS 'Messages that had no effect: unreadable ones, those on which a rule failed, and what waits behind these.';

CREATE TABLE attention (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL,
    aggregate   text NOT NULL,
    subject     text NOT NULL,                 -- ids only: a session, a payment, a text
    detail      text NOT NULL,
    raised_at   timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by text,
    resolution  text,
    CHECK ((resolved_at IS NULL) = (resolved_by IS NULL))
);
CREATE INDEX attention_open ON attention (raised_at) WHERE resolved_at IS NULL;
COMMENT ON TABLE attention IS 'What a person must settle.';
