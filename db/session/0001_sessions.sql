CREATE SCHEMA session;
GRANT USAGE ON SCHEMA session TO voiceplatform_app;

-- One conversation with an assistant. The variables, limits and version it began with stay with it.
CREATE TABLE session.sessions (
  id                   text COLLATE "C" PRIMARY KEY,
  tenant_id            text COLLATE "C" NOT NULL,
  assistant_id         text COLLATE "C" NOT NULL,
  assistant_version    int NOT NULL,
  room_name            text NOT NULL CONSTRAINT sessions_room_name UNIQUE,
  participant_identity text NOT NULL,
  text_only            boolean NOT NULL,
  is_test              boolean NOT NULL,
  status               text NOT NULL CHECK (status IN ('created', 'active', 'ended')),
  variables            jsonb NOT NULL,
  metadata             jsonb NOT NULL,
  max_duration_s       int NOT NULL,
  created_at           timestamptz NOT NULL,
  started_at           timestamptz,
  ended_at             timestamptz,
  ended_reason         text,
  busy_until           timestamptz,            -- a text turn is being answered
  last_seen_at         timestamptz NOT NULL,   -- whoever runs it says so; the sweeper ends what nobody runs
  cost                 bigint,                 -- micro-credits, once ended
  CHECK ((status = 'ended') = (ended_at IS NOT NULL))
);
-- GET /v1/sessions
CREATE INDEX sessions_of_tenant ON session.sessions (tenant_id, id DESC);
-- The sweeper: which open conversations has nobody reported on for long?
CREATE INDEX sessions_open ON session.sessions (last_seen_at) WHERE status <> 'ended';

CREATE TABLE session.lines (
  session_id  text COLLATE "C" NOT NULL REFERENCES session.sessions,
  seq         int NOT NULL,
  turn        int NOT NULL,
  speaker     text NOT NULL CHECK (speaker IN ('agent', 'user')),
  text        text NOT NULL,
  started_at  timestamptz NOT NULL,
  ended_at    timestamptz NOT NULL,
  interrupted boolean NOT NULL,
  PRIMARY KEY (session_id, seq)
);

-- Where the time of an answer went, in milliseconds; null where a stage did not happen.
CREATE TABLE session.turns (
  session_id        text COLLATE "C" NOT NULL REFERENCES session.sessions,
  turn              int NOT NULL,
  endpointing_ms    int,
  transcription_ms  int,
  first_token_ms    int,
  first_audio_ms    int,
  response_ms       int,
  interrupted       boolean NOT NULL,
  PRIMARY KEY (session_id, turn)
);

-- Running totals, so that reporting one twice changes nothing.
CREATE TABLE session.usage (
  session_id text COLLATE "C" NOT NULL REFERENCES session.sessions,
  component  text NOT NULL,
  provider   text NOT NULL,
  model      text NOT NULL,
  unit       text NOT NULL,
  quantity   bigint NOT NULL CHECK (quantity >= 0),
  PRIMARY KEY (session_id, component, provider, model)
);

CREATE TABLE session.events (
  session_id text COLLATE "C" NOT NULL REFERENCES session.sessions,
  seq        int NOT NULL,
  at         timestamptz NOT NULL,
  kind       text NOT NULL,
  detail     text NOT NULL,
  PRIMARY KEY (session_id, seq)
);

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA session TO voiceplatform_app;
