-- What is to be found out about a conversation when it is over, as its assistant said when it began (AnalysisSettings, with the model); null: nothing.
ALTER TABLE session.sessions ADD COLUMN analysis jsonb;

-- What was found out, and the queue of what is to be. Asked for again, the row starts anew with the next run.
CREATE TABLE session.analyses (
  session_id      text COLLATE "C" PRIMARY KEY REFERENCES session.sessions,
  tenant_id       text COLLATE "C" NOT NULL,
  run             int NOT NULL CHECK (run > 0),
  settings        jsonb NOT NULL,
  status          text NOT NULL CHECK (status IN ('pending', 'ready', 'failed')),
  asked_at        timestamptz NOT NULL,
  attempts        int NOT NULL,
  next_attempt_at timestamptz NOT NULL,          -- of a pending one; while somebody works on it, when its lease is over
  leased_until    timestamptz,                   -- somebody works on it
  ended_at        timestamptz,
  model           text,
  summary         text,
  success         boolean,
  success_reason  text,
  fields          jsonb NOT NULL,
  error           text,
  CHECK ((status = 'pending') = (ended_at IS NULL))
);
-- The queue, and how many of one tenant are worked on.
CREATE INDEX analyses_due ON session.analyses (next_attempt_at) WHERE status = 'pending';
CREATE INDEX analyses_leased ON session.analyses (tenant_id, leased_until) WHERE status = 'pending';
GRANT SELECT, INSERT, UPDATE ON session.analyses TO voiceplatform_app;
