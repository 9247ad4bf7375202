-- The road's second script: a deadline keeps the trace of what set it, and open dead letters are counted at each scrape.

ALTER TABLE timers ADD COLUMN traceparent text;
CREATE INDEX dead_letters_waiting ON dead_letters (kind) WHERE status = 'open';
