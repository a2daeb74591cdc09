-- Answers of requests that carried an Idempotency-Key, stored in the transaction of their work, replayed for a day.
CREATE TABLE platform.idempotency (
  tenant_id    text COLLATE "C" NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  answer       text NOT NULL,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
-- What is old enough to go?
CREATE INDEX idempotency_age ON platform.idempotency (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON platform.idempotency TO voiceplatform_app;
