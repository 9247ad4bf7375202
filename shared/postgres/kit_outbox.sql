-- The road's third script: an event is written down, then marked, and an index by time that costs neither of them much.

DROP INDEX outbox_published;
CREATE INDEX outbox_by_time ON outbox USING brin (created_at);
