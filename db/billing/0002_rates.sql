-- What things cost. A card is never edited: a change is a new version, valid from its time. tenant_id null: for everybody.
CREATE TABLE billing.rate_cards (
  id         text PRIMARY KEY,          -- "default-1": what charge lines name
  tenant_id  text COLLATE "C",
  version    int NOT NULL,
  valid_from timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX rate_cards_version ON billing.rate_cards (coalesce(tenant_id, ''), version);

-- A line costs rate × quantity ÷ per, rounded half up to a micro-credit. Quantities are first rounded up to 'increment',
-- and count at least 'minimum' when there was any use.
CREATE TABLE billing.rates (
  rate_card text NOT NULL REFERENCES billing.rate_cards,
  component text NOT NULL,
  unit      text NOT NULL,
  rate      bigint NOT NULL CHECK (rate >= 0),
  per       bigint NOT NULL CHECK (per > 0),
  increment bigint NOT NULL DEFAULT 1 CHECK (increment > 0),
  minimum   bigint NOT NULL DEFAULT 0 CHECK (minimum >= 0),
  PRIMARY KEY (rate_card, component)
);

INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from) VALUES ('default-1', NULL, 1, '2020-01-01T00:00:00Z');
INSERT INTO billing.rates (rate_card, component, unit, rate, per, increment, minimum) VALUES
  ('default-1', 'platform', 'second', 1000000, 60, 1, 1),
  ('default-1', 'speech_to_text', 'second', 300000, 60, 1, 0),
  ('default-1', 'text_to_speech', 'character', 20000000, 1000000, 1, 0),
  ('default-1', 'llm_input', 'token', 300000, 1000000, 1, 0),
  ('default-1', 'llm_cached_input', 'token', 150000, 1000000, 1, 0),
  ('default-1', 'llm_output', 'token', 1200000, 1000000, 1, 0),
  ('default-1', 'message', 'message', 10000, 1, 1, 0);

CREATE FUNCTION billing.cards_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a rate card is never edited: add a version' USING ERRCODE = 'VP500';
END $$;
CREATE TRIGGER rate_cards_final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.rate_cards FOR EACH STATEMENT EXECUTE FUNCTION billing.cards_are_final();
CREATE TRIGGER rates_final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.rates FOR EACH STATEMENT EXECUTE FUNCTION billing.cards_are_final();

GRANT SELECT, INSERT ON billing.rate_cards, billing.rates TO voiceplatform_app;
