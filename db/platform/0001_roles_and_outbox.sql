-- The host connects as a member of voiceplatform_app, which owns nothing; migrations run as the owner.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'voiceplatform_app') THEN
    CREATE ROLE voiceplatform_app NOLOGIN;
  END IF;
END $$;

-- The host reads at start whether it is up to date.
GRANT SELECT ON public.schema_history TO voiceplatform_app;

CREATE SCHEMA platform;
GRANT USAGE ON SCHEMA platform TO voiceplatform_app;

-- Facts for other modules (or for after the commit), written with the change they report.
CREATE TABLE platform.outbox (
  id              uuid PRIMARY KEY,
  name            text NOT NULL,
  payload         jsonb NOT NULL,
  occurred_at     timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  processed_at    timestamptz,
  attempts        int NOT NULL DEFAULT 0,
  last_error      text
);
-- The dispatcher: what is due?
CREATE INDEX outbox_due ON platform.outbox (next_attempt_at) WHERE processed_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON platform.outbox TO voiceplatform_app;
