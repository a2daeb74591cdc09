CREATE SCHEMA tenant;
GRANT USAGE ON SCHEMA tenant TO voiceplatform_app;

CREATE TABLE tenant.tenants (
  id         text COLLATE "C" PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz NOT NULL
);

CREATE TABLE tenant.users (
  id         text COLLATE "C" PRIMARY KEY,
  tenant_id  text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  name       text NOT NULL,
  email      text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX users_of_tenant ON tenant.users (tenant_id);

-- A key is 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
CREATE TABLE tenant.keys (
  id           text COLLATE "C" PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL REFERENCES tenant.tenants,
  user_id      text COLLATE "C" NOT NULL REFERENCES tenant.users,
  name         text NOT NULL,
  hash         bytea NOT NULL CONSTRAINT keys_hash UNIQUE,
  hint         text NOT NULL,
  scopes       text[] NOT NULL,
  mode         text NOT NULL CHECK (mode IN ('live', 'test')),
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz
);
CREATE INDEX keys_of_tenant ON tenant.keys (tenant_id, id DESC);

GRANT SELECT, INSERT, UPDATE ON tenant.tenants, tenant.users, tenant.keys TO voiceplatform_app;
