-- The floor's tables: the facts of the story, with the constraints that keep them true.
-- database: all
CREATE TABLE inbox (id text PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic        text NOT NULL,
    key          bytea NOT NULL,
    value        bytea NOT NULL,
    event_id     text NOT NULL,
    type         text NOT NULL,
    published_at timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
-- database: booking
CREATE TABLE courses (
    course_id       uuid PRIMARY KEY,
    patient_id      text NOT NULL,
    location        text NOT NULL,
    treatment       text NOT NULL,
    package         text,
    payer           text NOT NULL,
    hold_expires_at timestamptz
);
CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL REFERENCES courses,
    number     int NOT NULL,
    state      text NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    location   text NOT NULL,
    chair      text NOT NULL,
    provider   text NOT NULL,
    patient_id text NOT NULL,
    version    int NOT NULL DEFAULT 1,
    "grant"    int NOT NULL DEFAULT 0,
    occupies   boolean NOT NULL DEFAULT true,
    chair_time    box NOT NULL,
    provider_time box NOT NULL,
    patient_time  box NOT NULL,
    EXCLUDE USING gist (chair_time WITH &&) WHERE (occupies),
    EXCLUDE USING gist (provider_time WITH &&) WHERE (occupies),
    EXCLUDE USING gist (patient_time WITH &&) WHERE (occupies)
) WITH (fillfactor = 50);
CREATE INDEX sessions_of_a_day ON sessions (location, starts_at) WHERE occupies;
-- database: billing
CREATE TABLE accounts (
    course_id     uuid PRIMARY KEY,
    patient_id    text NOT NULL,
    package       text,
    balance_cents bigint NOT NULL DEFAULT 0
);
CREATE TABLE shares (
    session_id    uuid PRIMARY KEY,
    course_id     uuid NOT NULL REFERENCES accounts,
    number        int NOT NULL,
    price_cents   int NOT NULL,
    due_at        timestamptz NOT NULL,
    satisfied     boolean NOT NULL DEFAULT false,
    granted       int NOT NULL DEFAULT 0,
    answered      int NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX shares_of_course ON shares (course_id);
CREATE INDEX shares_due ON shares (due_at) WHERE NOT satisfied;
CREATE TABLE payments (
    payment_id   text PRIMARY KEY,
    course_id    uuid NOT NULL REFERENCES accounts,
    amount_cents int NOT NULL,
    captured_at  timestamptz NOT NULL
);
CREATE TABLE entries (
    id        uuid PRIMARY KEY,
    course_id uuid NOT NULL REFERENCES accounts,
    kind      text NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE lines (
    entry_id     uuid NOT NULL REFERENCES entries,
    number       int NOT NULL,
    account      text NOT NULL,
    amount_cents int NOT NULL CHECK (amount_cents <> 0),
    session_id   uuid,
    payment_id   text,
    PRIMARY KEY (entry_id, number)
);
-- database: reminders
CREATE TABLE courses (
    course_id  uuid PRIMARY KEY,
    patient_id text NOT NULL,
    location   text NOT NULL,
    time_zone  text NOT NULL
);
CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL,
    version    int NOT NULL,
    state      text NOT NULL,
    starts_at  timestamptz NOT NULL,
    owed       boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
CREATE TABLE texts (
    text_id     uuid PRIMARY KEY,
    course_id   uuid NOT NULL,
    session_id  uuid NOT NULL REFERENCES sessions,
    contact_id  text NOT NULL,
    kind        text NOT NULL,
    version     int NOT NULL,
    nominal_at  timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'scheduled'
);
CREATE INDEX texts_waiting ON texts (due_at) WHERE state = 'scheduled';
