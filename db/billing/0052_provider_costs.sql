-- What conversations and numbers cost the platform itself: a book beside the tenants' ledger, in double entry and append-only like it. It is no part of
-- a tenant's transactions, whose entries and chain the tenant reads; the host's role cannot read it but in sum, so no question of a tenant's finds it.
CREATE TABLE billing.provider_costs (
  tenant_id  text COLLATE "C" NOT NULL,
  booking    text COLLATE "C" NOT NULL,         -- what makes it once
  position   int NOT NULL,
  account    text NOT NULL CHECK (account IN ('platform:provider_cost', 'platform:provider_payable')),
  amount     bigint NOT NULL,
  posted_at  timestamptz NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  component  text NOT NULL,
  quantity   bigint NOT NULL,
  unit       text NOT NULL,
  cost       bigint NOT NULL,                   -- micro-credits per 'per' units
  per        bigint NOT NULL,
  rate_card  text NOT NULL,
  PRIMARY KEY (tenant_id, booking, position)
);
CREATE TRIGGER provider_costs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.provider_costs
  FOR EACH STATEMENT EXECUTE FUNCTION billing.append_only();

CREATE FUNCTION billing.costs_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added GROUP BY tenant_id, booking HAVING sum(amount) <> 0) THEN
    RAISE EXCEPTION 'the entries of a booking do not sum to zero' USING ERRCODE = 'VP500';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER provider_costs_sum_to_zero AFTER INSERT ON billing.provider_costs
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.costs_sum_to_zero();

-- Books what providers charge for what was used, once: p_lines is [{component, quantity, unit, cost, per, rate_card, amount}, …].
CREATE FUNCTION billing.book_costs(p_tenant text, p_booking text, p_subject text, p_lines jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
  INSERT INTO billing.provider_costs (tenant_id, booking, position, account, amount, posted_at, subject_id, component, quantity, unit, cost, per, rate_card)
  SELECT p_tenant, p_booking, (l.n - 1) * 2 + side.n, side.account, side.sign * l.amount, clock_timestamp(), p_subject, l.component, l.quantity, l.unit, l.cost, l.per, l.rate_card
  FROM ROWS FROM (jsonb_to_recordset(p_lines) AS (component text, quantity bigint, unit text, cost bigint, per bigint, rate_card text, amount bigint))
    WITH ORDINALITY AS l(component, quantity, unit, cost, per, rate_card, amount, n),
    (VALUES (1, 'platform:provider_cost', -1), (2, 'platform:provider_payable', 1)) AS side(n, account, sign)
  ON CONFLICT DO NOTHING
$$;

-- For the trial balance.
CREATE FUNCTION billing.provider_cost_balances() RETURNS TABLE (account text, balance bigint, entries bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
  SELECT account, sum(amount)::bigint, count(*) FROM billing.provider_costs GROUP BY account
$$;

REVOKE EXECUTE ON FUNCTION billing.costs_sum_to_zero(), billing.book_costs(text, text, text, jsonb), billing.provider_cost_balances() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.book_costs(text, text, text, jsonb), billing.provider_cost_balances() TO voiceplatform_app;
