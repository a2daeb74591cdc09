-- A month that is over has one statement, kept as it was first told.
CREATE TABLE billing.statements (
  tenant_id text COLLATE "C" NOT NULL REFERENCES billing.heads,
  month     date NOT NULL,
  closed_at timestamptz NOT NULL,
  statement jsonb NOT NULL,
  PRIMARY KEY (tenant_id, month)
);
CREATE TRIGGER statements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.statements
  FOR EACH STATEMENT EXECUTE FUNCTION billing.append_only();

-- What the tenant had just before an instant: one index probe an account.
CREATE FUNCTION billing.balance_before(p_tenant text, p_at timestamptz) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, billing AS $$
  SELECT jsonb_build_object('posted', available + held, 'available', available, 'held', held)
  FROM (SELECT
    coalesce((SELECT balance_after FROM billing.entries WHERE tenant_id = p_tenant AND account = 'available' AND posted_at < p_at
              ORDER BY posted_at DESC, seq DESC, position DESC LIMIT 1), 0) AS available,
    coalesce((SELECT balance_after FROM billing.entries WHERE tenant_id = p_tenant AND account = 'held' AND posted_at < p_at
              ORDER BY posted_at DESC, seq DESC, position DESC LIMIT 1), 0) AS held) b
$$;

-- opening + movements = closing, by posted_at. Entries sum to zero, so what moved for the tenant is the platform's side with the sign turned;
-- that side also says for what. One statement, one snapshot. p_month: its first day.
CREATE FUNCTION billing.sum_up(p_tenant text, p_month date) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, billing AS $$
  WITH month AS (
    SELECT p_month::timestamp AT TIME ZONE 'UTC' AS start, (p_month + interval '1 month') AT TIME ZONE 'UTC' AS over),
  movements AS (
    SELECT t.kind, coalesce(e.component, CASE e.account WHEN 'platform:uncollected' THEN 'uncollected' END) AS component, e.unit,
      sum(e.quantity)::bigint AS quantity, -sum(e.amount)::bigint AS amount, count(DISTINCT t.id) AS transactions
    FROM month m
    JOIN billing.entries e ON e.tenant_id = p_tenant AND e.posted_at >= m.start AND e.posted_at < m.over
      AND e.account IN ('platform:funding', 'platform:promotional', 'platform:revenue', 'platform:uncollected', 'platform:adjustments')
    JOIN billing.transactions t ON t.id = e.transaction_id
    GROUP BY 1, 2, 3)
  SELECT jsonb_build_object(
    'opening', billing.balance_before(p_tenant, m.start),
    'movements', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', v.kind, 'component', v.component, 'unit', v.unit, 'quantity', v.quantity, 'amount', v.amount,
        'transactions', v.transactions) ORDER BY v.kind DESC, v.component NULLS FIRST, v.unit), '[]') FROM movements v),
    'closing', billing.balance_before(p_tenant, m.over),
    'last', (SELECT jsonb_build_object('seq', t.seq, 'transaction_id', t.id, 'hash', encode(t.hash, 'hex')) FROM billing.transactions t
             WHERE t.tenant_id = p_tenant AND t.posted_at < m.over ORDER BY t.seq DESC LIMIT 1))
  FROM month m
$$;

-- The statement of a month: of one that is over, the one that is kept. closed_at is null while the month lasts.
CREATE FUNCTION billing.statement(p_tenant text, p_month date) RETURNS TABLE (statement jsonb, closed_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
#variable_conflict use_column
DECLARE
  over timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
  RETURN QUERY SELECT s.statement, s.closed_at FROM billing.statements s WHERE s.tenant_id = p_tenant AND s.month = p_month;
  IF FOUND THEN
    RETURN;
  END IF;
  IF clock_timestamp() < over THEN
    RETURN QUERY SELECT billing.sum_up(p_tenant, p_month), NULL::timestamptz;
    RETURN;
  END IF;

  -- Under the head's lock, so that nothing of that month is still on its way; and from here on nothing is posted into it, whatever the clock does.
  UPDATE billing.heads SET posted_at = greatest(posted_at, over - interval '1 microsecond') WHERE tenant_id = p_tenant;
  -- Months before the first transaction are all alike: nothing is kept of them.
  IF EXISTS (SELECT FROM billing.transactions t WHERE t.tenant_id = p_tenant AND t.seq = 1 AND t.posted_at < over) THEN
    INSERT INTO billing.statements (tenant_id, month, closed_at, statement)
    VALUES (p_tenant, p_month, clock_timestamp(), billing.sum_up(p_tenant, p_month)) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.statement, s.closed_at FROM billing.statements s WHERE s.tenant_id = p_tenant AND s.month = p_month;
  ELSE
    RETURN QUERY SELECT billing.sum_up(p_tenant, p_month), over;
  END IF;
END $$;

REVOKE EXECUTE ON FUNCTION billing.balance_before(text, timestamptz), billing.sum_up(text, date), billing.statement(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.statement(text, date) TO voiceplatform_app;
GRANT SELECT ON billing.statements TO voiceplatform_app;
