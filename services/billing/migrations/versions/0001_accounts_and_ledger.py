"""Accounts, their shares and payments, the ledger, what insurers decided, and papers with the people that they name."""

from shared.postgres.migrations import KIT, execute_script

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE terms (
    terms_id uuid PRIMARY KEY,
    content  json NOT NULL
);
COMMENT ON TABLE terms IS 'Prices, deadlines and policy as a profile had them; the id follows from the content.';

CREATE TABLE accounts (
    course_id       uuid PRIMARY KEY,
    stage           text NOT NULL DEFAULT 'unknown' CHECK (stage IN ('unknown', 'rejected', 'unpriced', 'priced')),
    patient_id      text,
    location        text,
    treatment       text,
    package         text,
    payer           text CHECK (payer IN ('self_pay', 'insurance')),
    plan            text,
    terms_id        uuid REFERENCES terms,
    planned_until   timestamptz,
    rejected_at     timestamptz,
    refund_at       timestamptz,
    balance_cents   bigint NOT NULL DEFAULT 0 CHECK (balance_cents >= 0),
    disputed_cents  bigint NOT NULL DEFAULT 0 CHECK (disputed_cents >= 0),
    CONSTRAINT priced_by_terms
        CHECK ((stage = 'priced') = (num_nulls(patient_id, payer, terms_id) = 0))
) WITH (fillfactor = 50);  -- here and below: room for the versions that follow, beside the first
CREATE INDEX accounts_of_patient ON accounts (patient_id) WHERE patient_id IS NOT NULL;
COMMENT ON TABLE accounts IS 'One row a course, also one that billing has only heard of.';

CREATE TABLE shares (
    course_id       uuid NOT NULL REFERENCES accounts,
    session_id      uuid NOT NULL UNIQUE,
    number          int NOT NULL CHECK (number > 0),
    starts_at       timestamptz NOT NULL,
    version         int NOT NULL,
    provider        text,
    price_cents     int NOT NULL CHECK (price_cents >= 0),
    asked_at        timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    overdue         boolean NOT NULL,
    state           text NOT NULL CHECK (state IN ('held', 'confirmed', 'checked_in', 'completed', 'missed',
                                                   'cancelled', 'released')),
    release         text CHECK (release IN ('hold_expired', 'overdue', 'unpriced', 'slot_taken', 'withdrawn')),
    cancelled_by    text CHECK (cancelled_by IN ('patient', 'clinic')),
    insured         boolean NOT NULL,
    cover           text,
    basis           text CHECK (basis IN ('paid', 'insured', 'free', 'waived')),
    prepaid_cents   int NOT NULL,
    granted         int NOT NULL,
    answered        int NOT NULL,
    foretold        int NOT NULL DEFAULT 0 CHECK (foretold >= 0),  -- answered, and given by a past that was lost
    withdrawal      text CHECK (withdrawal IN ('refund', 'chargeback', 'authorization_lapsed', 'payer_changed')),
    withdrawn       int NOT NULL,
    refunding_cents int NOT NULL,
    refunded_cents  int NOT NULL CHECK (refunded_cents BETWEEN 0 AND price_cents),
    fee_cents       int NOT NULL CHECK (fee_cents BETWEEN 0 AND price_cents),
    PRIMARY KEY (course_id, session_id),
    CONSTRAINT released_for_a_reason CHECK ((state = 'released') = (release IS NOT NULL)),
    CONSTRAINT cover_is_for_insured CHECK (insured OR cover IS NULL),
    CONSTRAINT money_rests_where_it_satisfies
        CHECK (prepaid_cents = 0 OR (prepaid_cents = price_cents AND coalesce(basis IN ('paid', 'insured'), false))),
    CONSTRAINT one_grant_at_a_time CHECK (answered BETWEEN 0 AND granted AND granted - answered <= 1),
    CONSTRAINT granted_on_a_basis CHECK (granted = answered OR basis IS NOT NULL),
    CONSTRAINT only_answered_grants_are_asked_back CHECK (withdrawn BETWEEN 0 AND answered),
    CONSTRAINT only_satisfied_is_taken_back CHECK (withdrawal IS NULL OR basis IS NOT NULL),
    CONSTRAINT refund_of_what_rests CHECK (refunding_cents BETWEEN 0 AND prepaid_cents)
) WITH (fillfactor = 50);
COMMENT ON TABLE shares IS 'What each session costs, what satisfies it, and which grants booking has answered.';

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

CREATE TABLE payments (
    payment_id   text PRIMARY KEY,
    course_id    uuid NOT NULL REFERENCES accounts,
    amount_cents int NOT NULL CHECK (amount_cents > 0),
    method       text NOT NULL CHECK (method IN ('card', 'hsa', 'fsa', 'cash', 'check', 'financing')),
    captured_at  timestamptz NOT NULL,
    heard_at     timestamptz NOT NULL,
    out_cents    int NOT NULL CHECK (out_cents BETWEEN 0 AND amount_cents)
);
CREATE INDEX payments_of_course ON payments (course_id, heard_at);
COMMENT ON TABLE payments IS 'Money that came in. A payment id is unique, whatever the course: a repeat books nothing.';

CREATE TABLE refunds (
    course_id    uuid NOT NULL REFERENCES accounts,
    number       int NOT NULL CHECK (number > 0),
    refund_id    text NOT NULL UNIQUE,
    amount_cents int NOT NULL CHECK (amount_cents > 0),
    reason       text NOT NULL CHECK (reason IN ('cancelled', 'released', 'slot_taken', 'overpaid', 'rejected',
                                                 'clinic_fault', 'requested')),
    PRIMARY KEY (course_id, number)
);

CREATE TABLE refund_parts (
    refund_id     text NOT NULL REFERENCES refunds (refund_id),
    payment_id    text NOT NULL REFERENCES payments,
    amount_cents  int NOT NULL CHECK (amount_cents > 0),
    settled_cents int NOT NULL CHECK (settled_cents BETWEEN 0 AND amount_cents),
    PRIMARY KEY (refund_id, payment_id)
);
COMMENT ON TABLE refund_parts IS 'Which payments a refund comes from, and how much of it has left the clinic.';

CREATE TABLE reversals (
    course_id    uuid NOT NULL REFERENCES accounts,
    reversal_id  text NOT NULL,
    payment_id   text NOT NULL,
    amount_cents int NOT NULL CHECK (amount_cents > 0),
    reason       text NOT NULL CHECK (reason IN ('refund', 'chargeback')),
    refund_id    text,
    PRIMARY KEY (course_id, reversal_id)
);
COMMENT ON TABLE reversals IS 'Money that left, as it was told, also where the books could not follow.';

CREATE TABLE entries (
    id        uuid PRIMARY KEY,
    course_id uuid NOT NULL REFERENCES accounts,
    kind      text NOT NULL CHECK (kind IN ('captured', 'allocated', 'returned', 'recognized', 'kept', 'refund_due',
                                            'refund_settled', 'reversed', 'recovered')),
    cause     text NOT NULL,
    booked_at timestamptz NOT NULL
);
CREATE INDEX entries_of_course ON entries (course_id, booked_at);
COMMENT ON TABLE entries IS 'The ledger, append-only. cause: the id of the message that the entry follows from.';

CREATE TABLE lines (
    entry_id     uuid NOT NULL REFERENCES entries,
    number       int NOT NULL,
    account      text NOT NULL CHECK (account IN ('balance', 'prepaid', 'revenue', 'fees', 'refunds_due', 'disputed',
                                                  'cash:card', 'cash:hsa', 'cash:fsa', 'cash:cash', 'cash:check',
                                                  'cash:financing')),
    amount_cents int NOT NULL CHECK (amount_cents <> 0),
    session_id   uuid,
    payment_id   text,
    PRIMARY KEY (entry_id, number)
);
COMMENT ON TABLE lines IS 'An entry''s movements, debits positive, credits negative; each entry sums to zero.';

CREATE FUNCTION entry_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE wrong uuid;
BEGIN
    SELECT entry_id INTO wrong FROM written GROUP BY entry_id HAVING sum(amount_cents) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entry % does not sum to zero', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
-- All lines of an entry are written by one statement, and none is added later that does not balance by itself.
CREATE TRIGGER entry_sums_to_zero AFTER INSERT ON lines REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION entry_sums_to_zero();

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

CREATE TABLE given (
    session_id uuid PRIMARY KEY,
    course_id  uuid NOT NULL REFERENCES accounts,
    provider   text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    services   json
);
CREATE INDEX given_of_course ON given (course_id);
COMMENT ON TABLE given IS 'Treatments that were given, as papers need them. services: [{code, units, modifiers?}].';

CREATE TABLE patients (
    patient_id text PRIMARY KEY,
    name       text NOT NULL,
    born_on    date NOT NULL,
    address    text,
    member_id  text,
    diagnoses  text[],
    no_claims  boolean
);
COMMENT ON TABLE patients IS 'Personal data for papers; a row goes when the person is erased.';

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

-- What is only ever added to.
REVOKE UPDATE, DELETE ON
    terms, authorizations, entries, lines, waivers, free_visits, given, papers, audit FROM billing;
GRANT UPDATE (digest, html) ON papers TO billing;
"""


def upgrade() -> None:
    """The road's tables, then billing's own."""
    execute_script(KIT.read_text())
    execute_script(TABLES)
