"""Terms of courses, authorizations, grants that come back, money that left by itself, waivers, treatments given."""

from shared.postgres.migrations import execute_script

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE terms (
    terms_id uuid PRIMARY KEY,
    content  json NOT NULL
);
COMMENT ON TABLE terms IS 'Prices, deadlines and policy as a profile had them; the id follows from the content.';

ALTER TABLE accounts
    ADD terms_id uuid REFERENCES terms,
    ADD plan text,
    ADD disputed_cents bigint NOT NULL DEFAULT 0 CHECK (disputed_cents >= 0);

-- Courses that were accepted before: their deadlines and policy, and of prices what their sessions cost.
CREATE TEMPORARY TABLE earlier ON COMMIT DROP AS
    SELECT course_id, gen_random_uuid() AS terms_id, json_build_object(
        'zone', 'UTC',
        'due', json_build_object('lead_hours', lead_hours, 'grace_hours', grace_hours),
        'policy', json_build_object('missed', missed),
        'treatment', json_build_object('approval', 'off_label', 'session_cents',
            (SELECT coalesce(max(price_cents), 0) FROM shares s WHERE s.course_id = a.course_id))) AS content
    FROM accounts a WHERE stage = 'priced';
INSERT INTO terms (terms_id, content) SELECT terms_id, content FROM earlier;
UPDATE accounts SET terms_id = e.terms_id FROM earlier e WHERE e.course_id = accounts.course_id;

ALTER TABLE accounts DROP CONSTRAINT accounts_check;
ALTER TABLE accounts
    DROP lead_hours,
    DROP grace_hours,
    DROP missed,
    ADD CONSTRAINT priced_by_terms
        CHECK ((stage = 'priced') = (num_nulls(patient_id, payer, terms_id, hold_expires_at) = 0));

ALTER TABLE shares DROP CONSTRAINT shares_check2;
ALTER TABLE shares
    ADD provider text,
    ADD insured boolean NOT NULL DEFAULT false,
    ADD cover text,
    ADD withdrawal text CHECK (withdrawal IN ('refund', 'chargeback', 'authorization_lapsed', 'payer_changed')),
    ADD withdrawn int NOT NULL DEFAULT 0,
    ADD refunding_cents int NOT NULL DEFAULT 0,
    ADD cancelled_by text CHECK (cancelled_by IN ('patient', 'clinic')),
    ADD fee_cents int NOT NULL DEFAULT 0 CHECK (fee_cents BETWEEN 0 AND price_cents),
    ADD CONSTRAINT money_rests_where_it_satisfies
        CHECK (prepaid_cents = 0 OR (prepaid_cents = price_cents AND coalesce(basis IN ('paid', 'insured'), false))),
    ADD CONSTRAINT cover_is_for_insured CHECK (insured OR cover IS NULL),
    ADD CONSTRAINT only_answered_grants_are_asked_back CHECK (withdrawn BETWEEN 0 AND answered),
    ADD CONSTRAINT only_satisfied_is_taken_back CHECK (withdrawal IS NULL OR basis IS NOT NULL),
    ADD CONSTRAINT refund_of_what_rests CHECK (refunding_cents BETWEEN 0 AND prepaid_cents);
ALTER TABLE shares
    ALTER insured DROP DEFAULT,
    ALTER withdrawn DROP DEFAULT,
    ALTER refunding_cents DROP DEFAULT,
    ALTER fee_cents DROP DEFAULT;

CREATE TABLE authorizations (
    course_id     uuid NOT NULL REFERENCES accounts,
    number        int NOT NULL CHECK (number > 0),
    reference     text NOT NULL,
    decision      text NOT NULL CHECK (decision IN ('approved', 'denied')),
    valid_from    date,
    valid_through date,
    sessions      int CHECK (sessions > 0),
    copay_cents   int CHECK (copay_cents >= 0),
    heard_at      timestamptz NOT NULL,
    PRIMARY KEY (course_id, number)
);
COMMENT ON TABLE authorizations IS 'What insurers decided, as it was told; the last decision of a reference counts.';

CREATE TABLE given (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL REFERENCES accounts,
    provider   text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    services   json
);
COMMENT ON TABLE given IS 'Treatments that were given, as papers need them. services: [{code, units, modifiers?}].';

CREATE TABLE waivers (
    session_id   uuid NOT NULL,
    grant_number int NOT NULL,
    course_id    uuid NOT NULL REFERENCES accounts,
    waived_by    text NOT NULL,
    reason       text NOT NULL,
    message_id   text NOT NULL,
    waived_at    timestamptz NOT NULL
);
CREATE INDEX waivers_of_session ON waivers (session_id);
COMMENT ON TABLE waivers IS 'Audit trail: whose word stands for a price, and why.';

CREATE TABLE free_visits (
    session_id uuid PRIMARY KEY,
    clinic     text NOT NULL,
    patient_id text NOT NULL,
    treatment  text NOT NULL
);
CREATE INDEX free_visits_of_patient ON free_visits (patient_id);
COMMENT ON TABLE free_visits IS 'Sessions that were free as a patient''s first; used only while the share is free.';

ALTER TABLE entries DROP CONSTRAINT entries_kind_check;
ALTER TABLE entries ADD CONSTRAINT entries_kind_check CHECK (kind IN (
    'captured', 'allocated', 'returned', 'recognized', 'kept', 'refund_due', 'refund_settled', 'reversed',
    'recovered'));
ALTER TABLE lines DROP CONSTRAINT lines_account_check;
ALTER TABLE lines ADD CONSTRAINT lines_account_check CHECK (account IN (
    'balance', 'prepaid', 'revenue', 'fees', 'refunds_due', 'disputed', 'cash:card', 'cash:hsa', 'cash:fsa',
    'cash:cash', 'cash:check', 'cash:financing'));

REVOKE UPDATE, DELETE ON authorizations, given, waivers, free_visits, terms FROM billing;
"""


def upgrade() -> None:
    """What courses agreed on moves into terms; the ledger learns of money that left by itself."""
    execute_script(TABLES)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("restore a backup instead")
