-- What a reconciliation found and told of, so that each difference is an event once and not every night.
CREATE TABLE billing.differences (
  what       text NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  tenant_id  text COLLATE "C" NOT NULL,
  charged    bigint,
  cost       bigint,
  found_at   timestamptz NOT NULL,
  PRIMARY KEY (subject_id, what)
);
GRANT SELECT, INSERT ON billing.differences TO voiceplatform_app;
