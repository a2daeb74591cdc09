CREATE SCHEMA trunk;
GRANT USAGE ON SCHEMA trunk TO voiceplatform_app;

-- What we put on a LiveKit server carries this: two installations may share one, and neither touches the other's.
CREATE TABLE trunk.installation (id text PRIMARY KEY);
INSERT INTO trunk.installation VALUES (replace(gen_random_uuid()::text, '-', ''));

-- A tenant's line to a telephone provider. LiveKit is brought to the state written here, now or as soon as it answers.
CREATE TABLE trunk.trunks (
  id                text COLLATE "C" PRIMARY KEY,
  tenant_id         text COLLATE "C" NOT NULL,
  name              text NOT NULL,
  type              text NOT NULL CHECK (type IN ('twilio', 'exotel', 'telnyx', 'plivo', 'generic')),
  direction         text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
  address           text NOT NULL,           -- host[:port]; empty on inbound trunks
  transport         text NOT NULL CHECK (transport IN ('auto', 'udp', 'tcp', 'tls')),
  numbers           text[] NOT NULL,         -- E.164: what calls may show, or what the provider sends here
  auth_username     text NOT NULL,
  auth_password     bytea,                   -- sealed
  register          boolean NOT NULL,        -- outbound: the provider sends calls only to who is registered there
  media_encryption  text NOT NULL CHECK (media_encryption IN ('disable', 'allow', 'require')),
  allowed_addresses text[] NOT NULL,         -- CIDR; from where an inbound trunk takes calls
  max_concurrent    int,
  calls_per_second  double precision,
  revision          int NOT NULL,
  synced_revision   int NOT NULL DEFAULT 0,  -- the revision that LiveKit has
  sync_after        timestamptz NOT NULL,    -- not before: LiveKit refused or did not answer
  sync_error        text,
  livekit_trunk_id  text,
  livekit_rule_id   text,
  created_at        timestamptz NOT NULL,
  updated_at        timestamptz NOT NULL,
  deleted_at        timestamptz
);
-- GET /v1/trunks
CREATE INDEX trunks_of_tenant ON trunk.trunks (tenant_id, id DESC) WHERE deleted_at IS NULL;
-- The sync: what does LiveKit not have yet?
CREATE INDEX trunks_unsynced ON trunk.trunks (sync_after) WHERE synced_revision <> revision;
-- A call comes in: by which trunk?
CREATE INDEX trunks_by_livekit_id ON trunk.trunks (livekit_trunk_id) WHERE livekit_trunk_id IS NOT NULL;

-- An inbound number and who answers it. A number leads to one place in the world, so it has one owner here.
CREATE TABLE trunk.numbers (
  id           text COLLATE "C" PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL,
  number       text NOT NULL,
  trunk_id     text COLLATE "C" NOT NULL REFERENCES trunk.trunks,
  assistant_id text COLLATE "C" NOT NULL,
  name         text NOT NULL,
  context_url  text,
  revision     int NOT NULL,
  created_at   timestamptz NOT NULL,
  updated_at   timestamptz NOT NULL,
  deleted_at   timestamptz
);
CREATE UNIQUE INDEX numbers_number ON trunk.numbers (number) WHERE deleted_at IS NULL;
CREATE INDEX numbers_of_tenant ON trunk.numbers (tenant_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX numbers_of_trunk ON trunk.numbers (trunk_id) WHERE deleted_at IS NULL;

GRANT SELECT ON trunk.installation TO voiceplatform_app;
GRANT SELECT, INSERT, UPDATE ON trunk.trunks, trunk.numbers TO voiceplatform_app;
