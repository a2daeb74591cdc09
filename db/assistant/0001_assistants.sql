CREATE SCHEMA assistant;
GRANT USAGE ON SCHEMA assistant TO voiceplatform_app;

CREATE TABLE assistant.assistants (
  id         text COLLATE "C" PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL,
  name       text NOT NULL,
  version    int NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz
);
-- GET /v1/assistants
CREATE INDEX assistants_of_tenant ON assistant.assistants (tenant_id, id DESC) WHERE deleted_at IS NULL;

-- A version never changes: a conversation pins the one it started with.
CREATE TABLE assistant.versions (
  assistant_id text COLLATE "C" NOT NULL REFERENCES assistant.assistants,
  version      int NOT NULL,
  document     jsonb NOT NULL,
  created_at   timestamptz NOT NULL,
  created_by   text COLLATE "C",
  PRIMARY KEY (assistant_id, version)
);

GRANT SELECT, INSERT, UPDATE ON assistant.assistants TO voiceplatform_app;
GRANT SELECT, INSERT ON assistant.versions TO voiceplatform_app;
