-- Who changed configuration or moved money. Append-only: the host may add and read, nothing else.
CREATE TABLE platform.audit (
  id         text COLLATE "C" PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL,
  at         timestamptz NOT NULL,
  actor      text NOT NULL CHECK (actor IN ('key', 'platform', 'system')),
  user_id    text COLLATE "C",
  key_id     text COLLATE "C",
  address    text,                    -- where the request came from
  action     text NOT NULL,
  subject_id text NOT NULL,
  detail     jsonb
);
-- GET /v1/audit
CREATE INDEX audit_of_tenant ON platform.audit (tenant_id, id DESC);
GRANT SELECT, INSERT ON platform.audit TO voiceplatform_app;
