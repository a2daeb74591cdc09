-- What happened, written in the transaction that made it happen. Commits do not come in the order of ids, so the number by
-- which readers go on ("position") is given after commit, by one sequencer at a time.
CREATE TABLE tenant.events (
  id         text COLLATE "C" PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  type       text NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  sequence   int NOT NULL,            -- per subject, from 1
  data       text NOT NULL,           -- JSON as it was written: deliveries send these very bytes
  created_at timestamptz NOT NULL,
  position   bigint,
  CONSTRAINT events_sequence_of_subject UNIQUE (tenant_id, subject_id, sequence)
);
-- GET /v1/events?after=
CREATE UNIQUE INDEX events_by_position ON tenant.events (tenant_id, position) WHERE position IS NOT NULL;
-- The sequencer: what has no number yet?
CREATE INDEX events_without_position ON tenant.events (id) WHERE position IS NULL;
CREATE SEQUENCE tenant.event_position;

CREATE TABLE tenant.webhooks (
  id          text COLLATE "C" PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  url         text NOT NULL,
  event_types text[] NOT NULL,        -- empty: all
  secret      bytea NOT NULL,         -- sealed
  created_at  timestamptz NOT NULL,
  disabled_at timestamptz,
  deleted_at  timestamptz
);
CREATE INDEX webhooks_of_tenant ON tenant.webhooks (tenant_id, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE tenant.deliveries (
  id              text COLLATE "C" PRIMARY KEY,
  tenant_id       text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  webhook_id      text COLLATE "C" NOT NULL REFERENCES tenant.webhooks,
  event_id        text COLLATE "C" NOT NULL REFERENCES tenant.events,
  subject_id      text COLLATE "C" NOT NULL,
  sequence        int NOT NULL,
  body            bytea NOT NULL,     -- frozen: every attempt sends and signs the same bytes
  status          text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
  attempts        int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL,
  created_at      timestamptz NOT NULL,
  completed_at    timestamptz,
  CONSTRAINT deliveries_once UNIQUE (webhook_id, event_id)
);
-- The sender: what is due?
CREATE INDEX deliveries_due ON tenant.deliveries (next_attempt_at) WHERE status = 'pending';
-- The sender: is an earlier one of the same subject still on its way?
CREATE INDEX deliveries_of_subject ON tenant.deliveries (webhook_id, subject_id, sequence) WHERE status = 'pending';
CREATE INDEX deliveries_of_webhook ON tenant.deliveries (webhook_id, id DESC);

CREATE TABLE tenant.delivery_attempts (
  delivery_id text COLLATE "C" NOT NULL REFERENCES tenant.deliveries,
  attempt     int NOT NULL,
  started_at  timestamptz NOT NULL,
  duration_ms int NOT NULL,
  status_code int,
  error       text,
  PRIMARY KEY (delivery_id, attempt)
);

GRANT SELECT, INSERT, UPDATE ON tenant.events, tenant.webhooks, tenant.deliveries, tenant.delivery_attempts TO voiceplatform_app;
GRANT USAGE ON SEQUENCE tenant.event_position TO voiceplatform_app;
