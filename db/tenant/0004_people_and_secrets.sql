-- People have roles; a key never does more than the role of the person it belongs to.
ALTER TABLE tenant.tenants ADD COLUMN revision int NOT NULL DEFAULT 1;
ALTER TABLE tenant.tenants ADD COLUMN updated_at timestamptz;
UPDATE tenant.tenants SET updated_at = created_at;
ALTER TABLE tenant.tenants ALTER COLUMN updated_at SET NOT NULL;
ALTER TABLE tenant.tenants ADD COLUMN contact_email text;

ALTER TABLE tenant.users ADD COLUMN role text NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'admin', 'developer', 'finance', 'viewer'));
ALTER TABLE tenant.users ALTER COLUMN role DROP DEFAULT;
ALTER TABLE tenant.users ADD COLUMN revision int NOT NULL DEFAULT 1;
ALTER TABLE tenant.users ADD COLUMN updated_at timestamptz;
UPDATE tenant.users SET updated_at = created_at;
ALTER TABLE tenant.users ALTER COLUMN updated_at SET NOT NULL;
ALTER TABLE tenant.users ADD COLUMN deleted_at timestamptz;
CREATE UNIQUE INDEX users_email ON tenant.users (tenant_id, lower(email)) WHERE deleted_at IS NULL;

ALTER TABLE tenant.keys ADD COLUMN revision int NOT NULL DEFAULT 1;
ALTER TABLE tenant.keys ADD COLUMN default_assistant_id text COLLATE "C";   -- for doors that name no assistant
ALTER TABLE tenant.keys ADD COLUMN replaces text COLLATE "C" REFERENCES tenant.keys;
CREATE UNIQUE INDEX keys_replaced_once ON tenant.keys (replaces) WHERE replaces IS NOT NULL;

-- Provider keys and what tools need: written, never read back over the API.
CREATE TABLE tenant.secrets (
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  name       text COLLATE "C" NOT NULL,
  value      bytea NOT NULL,          -- sealed
  revision   int NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant.secrets TO voiceplatform_app;
