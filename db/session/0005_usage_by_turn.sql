-- What was used, turn by turn (0: the conversation as a whole, and all of what was kept before): what the provider reported beside what the platform
-- measured, and apart from it what was generated ahead and discarded. 'quantity' is what counts: the provider's word where there is one.
ALTER TABLE session.usage
  ADD COLUMN turn      int NOT NULL DEFAULT 0,
  ADD COLUMN discarded boolean NOT NULL DEFAULT false,
  ADD COLUMN reported  bigint CHECK (reported >= 0),
  ADD COLUMN measured  bigint NOT NULL DEFAULT 0 CHECK (measured >= 0);
UPDATE session.usage SET reported = CASE WHEN unit = 'token' THEN quantity END, measured = CASE WHEN unit = 'token' THEN 0 ELSE quantity END;
ALTER TABLE session.usage DROP CONSTRAINT usage_pkey;
ALTER TABLE session.usage ADD PRIMARY KEY (session_id, turn, discarded, component, provider, model);
