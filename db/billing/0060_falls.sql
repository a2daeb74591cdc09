-- What a posting leads to besides itself is kept by the statement that makes it: a balance that fell below its threshold, or to nothing, is a row here and
-- a fact in the outbox, so no posting can forget to tell it and none has to wait for the telling. Whoever tells it takes the tenant's rows away, in their
-- order: each once.
CREATE TABLE billing.falls (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES billing.heads,
  n            bigint GENERATED ALWAYS AS IDENTITY,
  fell_at      timestamptz NOT NULL,
  balance      bigint NOT NULL,     -- posted, in micro-credits
  credit_limit bigint NOT NULL,
  threshold    bigint,              -- the one that it fell below; null: it was below
  exhausted    boolean NOT NULL,    -- nothing is left
  PRIMARY KEY (tenant_id, n)
);
GRANT SELECT, UPDATE, DELETE ON billing.falls TO voiceplatform_app;       -- UPDATE: to lock them

-- Behind the head's lock, when the head has its new values.
CREATE FUNCTION billing.note_fall(p_tenant text, p_threshold bigint, p_exhausted boolean) RETURNS void LANGUAGE sql AS $$
  INSERT INTO billing.falls (tenant_id, fell_at, balance, credit_limit, threshold, exhausted)
  SELECT tenant_id, clock_timestamp(), available + held, credit_limit, p_threshold, p_exhausted FROM billing.heads WHERE tenant_id = p_tenant;
  INSERT INTO platform.outbox (id, name, payload, occurred_at, next_attempt_at)
  VALUES (gen_random_uuid(), 'billing.balance_fell.v1', jsonb_build_object('tenant_id', p_tenant), clock_timestamp(), clock_timestamp());
$$;

-- As before, and kept. What it answers says that there is something to tell.
CREATE OR REPLACE FUNCTION billing.fall(p_tenant text, p_before bigint, p_after bigint, p_low_balance bigint) RETURNS billing.fall LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  threshold bigint := coalesce((SELECT low_balance FROM billing.alerts WHERE tenant_id = p_tenant), p_low_balance);
  fell billing.fall := (CASE WHEN p_before >= threshold AND p_after < threshold THEN threshold END, p_before > 0 AND p_after <= 0)::billing.fall;
BEGIN
  IF fell.low_balance IS NOT NULL OR fell.exhausted THEN
    PERFORM billing.note_fall(p_tenant, fell.low_balance, fell.exhausted);
  END IF;
  RETURN fell;
END $$;

-- A threshold that is raised above what is there tells so at once; one who has nothing knows it.
CREATE OR REPLACE FUNCTION billing.set_alerts(p_tenant text, p_low_balance bigint, p_email text, p_default bigint)
RETURNS TABLE (revision int, available bigint, held bigint, credit_limit bigint, low_balance bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  before bigint;
  after bigint := coalesce(p_low_balance, p_default);
  balance bigint;
  fell bigint;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  before := coalesce((SELECT a.low_balance FROM billing.alerts a WHERE a.tenant_id = p_tenant), p_default);
  balance := head.available + head.held + head.credit_limit;
  IF balance > 0 AND balance >= before AND balance < after THEN
    fell := after;
    PERFORM billing.note_fall(p_tenant, fell, false);
  END IF;
  RETURN QUERY
    INSERT INTO billing.alerts AS a (tenant_id, low_balance, email) VALUES (p_tenant, p_low_balance, p_email)
    ON CONFLICT (tenant_id) DO UPDATE SET low_balance = excluded.low_balance, email = excluded.email, revision = a.revision + 1
    RETURNING a.revision, head.available, head.held, head.credit_limit, fell;
END $$;

REVOKE EXECUTE ON FUNCTION billing.note_fall(text, bigint, boolean) FROM PUBLIC;

-- Holds by their status: those that are active among a million that are over.
CREATE INDEX holds_of_tenant_by_status ON billing.holds (tenant_id, status, id DESC);
