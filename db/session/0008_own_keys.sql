-- What was used by a key of the tenant's at the provider is counted apart: the tenant pays the provider for it.
ALTER TABLE session.usage ADD COLUMN own_key boolean NOT NULL DEFAULT false;
ALTER TABLE session.usage DROP CONSTRAINT usage_pkey;
ALTER TABLE session.usage ADD PRIMARY KEY (session_id, turn, discarded, component, provider, model, own_key);
