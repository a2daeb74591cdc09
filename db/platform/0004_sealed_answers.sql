-- Some stored answers hold a secret (a new key, a token): all are sealed. A request that acts outside of the database takes its key before it
-- has an answer. What was stored before is worth a day at most.
DELETE FROM platform.idempotency;
ALTER TABLE platform.idempotency DROP COLUMN answer;
ALTER TABLE platform.idempotency ADD COLUMN answer bytea;
ALTER TABLE platform.idempotency ADD COLUMN running_until timestamptz;
ALTER TABLE platform.idempotency ADD CONSTRAINT idempotency_answered_or_running CHECK ((answer IS NULL) = (running_until IS NOT NULL));
