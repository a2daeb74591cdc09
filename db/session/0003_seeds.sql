-- Seed 001 lets its callers name rooms, and name them again when a conversation is over: a name is one open conversation's.
ALTER TABLE session.sessions DROP CONSTRAINT sessions_room_name;
CREATE UNIQUE INDEX sessions_room_name ON session.sessions (room_name) WHERE status <> 'ended';
CREATE INDEX sessions_by_room ON session.sessions (room_name);

-- Attended by an agent that is not ours and reports nothing: the room is watched instead.
ALTER TABLE session.sessions ADD COLUMN runs_elsewhere boolean NOT NULL DEFAULT false;
CREATE INDEX sessions_watched ON session.sessions (last_seen_at) WHERE runs_elsewhere AND status <> 'ended';

-- What the devices of seed 000 prefer.
CREATE TABLE session.devices (
  tenant_id  text COLLATE "C" NOT NULL,
  device_id  text COLLATE "C" NOT NULL,
  settings   jsonb NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, device_id)
);

-- As whom the routes without keys run (COMPAT_TENANT), and the assistant they begin from. The installation's, not a tenant's.
CREATE TABLE session.compat (
  tenant       text COLLATE "C" PRIMARY KEY,
  is_own       boolean NOT NULL,            -- made by the host itself
  assistant_id text COLLATE "C"
);
CREATE UNIQUE INDEX compat_own ON session.compat (is_own) WHERE is_own;

GRANT SELECT, INSERT, UPDATE ON session.devices, session.compat TO voiceplatform_app;
