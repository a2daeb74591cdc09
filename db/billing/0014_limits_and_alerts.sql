-- When a tenant wants to be told that its credits run low. No row, or null: at the installation's threshold, to the tenant's contacts.
CREATE TABLE billing.alerts (
  tenant_id   text COLLATE "C" PRIMARY KEY REFERENCES billing.heads,
  low_balance bigint CHECK (low_balance >= 0),
  email       text,
  revision    int NOT NULL DEFAULT 1
);

-- What a change of the balance has led to: the threshold that it fell below, and whether nothing is left. The balance here is posted + credit_limit:
-- what the tenant can spend before anything is reserved. Only the crossing counts, so each is told once until it has been above again.
CREATE TYPE billing.fall AS (low_balance bigint, exhausted boolean);

CREATE FUNCTION billing.fall(p_tenant text, p_before bigint, p_after bigint, p_low_balance bigint) RETURNS billing.fall LANGUAGE plpgsql STABLE AS $$
DECLARE
  threshold bigint := coalesce((SELECT low_balance FROM billing.alerts WHERE tenant_id = p_tenant), p_low_balance);
BEGIN
  RETURN (CASE WHEN p_before >= threshold AND p_after < threshold THEN threshold END, p_before > 0 AND p_after <= 0)::billing.fall;
END $$;

ALTER TYPE billing.posting ADD ATTRIBUTE low_balance bigint, ADD ATTRIBUTE exhausted boolean;

-- How far below zero a tenant may go. Below what is used already it refuses new holds until there is room again.
-- p_low_balance, here and below: the installation's threshold.
CREATE FUNCTION billing.set_credit_limit(p_tenant text, p_limit bigint, p_low_balance bigint)
RETURNS TABLE (previous bigint, available bigint, held bigint, low_balance bigint, exhausted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  IF FOUND THEN
    UPDATE billing.heads SET credit_limit = p_limit WHERE tenant_id = p_tenant;
    RETURN QUERY
      SELECT head.credit_limit, head.available, head.held, f.low_balance, f.exhausted
      FROM billing.fall(p_tenant, head.available + head.held + head.credit_limit, head.available + head.held + p_limit, p_low_balance) f;
  END IF;
END $$;

-- A threshold that is raised above what is there tells so at once; one who has nothing knows it.
CREATE FUNCTION billing.set_alerts(p_tenant text, p_low_balance bigint, p_email text, p_default bigint)
RETURNS TABLE (revision int, available bigint, held bigint, credit_limit bigint, low_balance bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  before bigint;
  after bigint := coalesce(p_low_balance, p_default);
  balance bigint;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  before := coalesce((SELECT a.low_balance FROM billing.alerts a WHERE a.tenant_id = p_tenant), p_default);
  balance := head.available + head.held + head.credit_limit;
  RETURN QUERY
    INSERT INTO billing.alerts AS a (tenant_id, low_balance, email) VALUES (p_tenant, p_low_balance, p_email)
    ON CONFLICT (tenant_id) DO UPDATE SET low_balance = excluded.low_balance, email = excluded.email, revision = a.revision + 1
    RETURNING a.revision, head.available, head.held, head.credit_limit, CASE WHEN balance > 0 AND balance >= before AND balance < after THEN after END;
END $$;

REVOKE EXECUTE ON FUNCTION
  billing.fall(text, bigint, bigint, bigint), billing.set_credit_limit(text, bigint, bigint), billing.set_alerts(text, bigint, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.set_credit_limit(text, bigint, bigint), billing.set_alerts(text, bigint, text, bigint) TO voiceplatform_app;
GRANT SELECT ON billing.alerts TO voiceplatform_app;
