-- What assistants can do. An assistant's document names tools by id; a conversation takes them as they are when it begins.
CREATE TABLE assistant.tools (
  id         text COLLATE "C" PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL,
  name       text NOT NULL,
  type       text NOT NULL,
  document   jsonb NOT NULL,          -- without header values
  headers    bytea,                   -- sealed
  revision   int NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz
);
-- GET /v1/tools
CREATE INDEX tools_of_tenant ON assistant.tools (tenant_id, id DESC) WHERE deleted_at IS NULL;
GRANT SELECT, INSERT, UPDATE ON assistant.tools TO voiceplatform_app;
