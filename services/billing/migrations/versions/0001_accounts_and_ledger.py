"""Accounts, their shares and payments, the ledger, and the people that papers name."""

from shared.postgres.migrations import KIT, execute_script

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE accounts (
    course_id       uuid PRIMARY KEY,
    stage           text NOT NULL DEFAULT 'unknown' CHECK (stage IN ('unknown', 'rejected', 'unpriced', 'priced')),
    patient_id      text,
    location        text,
    treatment       text,
    package         text,
    payer           text CHECK (payer IN ('self_pay', 'insurance')),
    lead_hours      int,
    grace_hours     int,
    missed          text CHECK (missed IN ('keep', 'return')),
    hold_expires_at timestamptz,
    planned_until   timestamptz,
    rejected_at     timestamptz,
    first_grant_at  timestamptz,
    refund_at       timestamptz,
    balance_cents   bigint NOT NULL DEFAULT 0 CHECK (balance_cents >= 0),
    CHECK ((stage = 'priced') = (num_nulls(patient_id, payer, lead_hours, grace_hours, missed, hold_expires_at) = 0))
);
COMMENT ON TABLE accounts IS 'One row a course, also one that billing has only heard of.';

CREATE TABLE shares (
    course_id      uuid NOT NULL REFERENCES accounts,
    session_id     uuid NOT NULL UNIQUE,
    number         int NOT NULL CHECK (number > 0),
    starts_at      timestamptz NOT NULL,
    version        int NOT NULL,
    price_cents    int NOT NULL CHECK (price_cents >= 0),
    asked_at       timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    state          text NOT NULL CHECK (state IN ('held', 'confirmed', 'checked_in', 'completed', 'missed', 'cancelled',
                                                  'released')),
    release        text CHECK (release IN ('hold_expired', 'overdue', 'unpriced', 'slot_taken', 'withdrawn')),
    basis          text CHECK (basis IN ('paid', 'insured', 'free', 'waived')),
    prepaid_cents  int NOT NULL,
    granted        int NOT NULL,
    answered       int NOT NULL,
    overdue        boolean NOT NULL,
    refunded_cents int NOT NULL CHECK (refunded_cents BETWEEN 0 AND price_cents),
    PRIMARY KEY (course_id, session_id),
    CHECK ((state = 'released') = (release IS NOT NULL)),
    CHECK (prepaid_cents = 0 OR (prepaid_cents = price_cents AND basis = 'paid')),
    CHECK (answered BETWEEN 0 AND granted AND granted - answered <= 1),
    CHECK (granted = answered OR basis IS NOT NULL)
) WITH (fillfactor = 50);  -- room for the versions that follow, beside the first
COMMENT ON TABLE shares IS 'What each session costs, what satisfies it, and which grants booking has answered.';

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

CREATE TABLE entries (
    id        uuid PRIMARY KEY,
    course_id uuid NOT NULL REFERENCES accounts,
    kind      text NOT NULL CHECK (kind IN ('captured', 'allocated', 'returned', 'recognized', 'kept', 'refund_due',
                                            'refund_settled', 'reversed')),
    cause     text NOT NULL,
    booked_at timestamptz NOT NULL
);
CREATE INDEX entries_of_course ON entries (course_id, booked_at);
COMMENT ON TABLE entries IS 'The ledger, append-only. cause: the id of the message that the entry follows from.';

CREATE TABLE lines (
    entry_id     uuid NOT NULL REFERENCES entries,
    number       int NOT NULL,
    account      text NOT NULL CHECK (account IN ('balance', 'prepaid', 'revenue', 'fees', 'refunds_due', 'cash:card',
                                                  'cash:hsa', 'cash:fsa', 'cash:cash', 'cash:check', 'cash:financing')),
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

REVOKE UPDATE, DELETE ON entries, lines FROM billing;
"""


def upgrade() -> None:
    """Create the tables of the road, then billing's own."""
    execute_script(KIT.read_text())
    execute_script(TABLES)


def downgrade() -> None:
    """There is no way back."""
    raise RuntimeError("restore a backup instead")
