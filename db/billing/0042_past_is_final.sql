-- From here on nothing is posted at or before an instant: it waits for what is on its way, and raises the head's time, which the next posting comes after.
-- Who then reads what was posted until then reads the same for ever. False: the instant is still to come.
CREATE FUNCTION billing.close_until(p_tenant text, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
BEGIN
  IF p_at > clock_timestamp() THEN
    RETURN false;
  END IF;
  UPDATE billing.heads SET posted_at = p_at WHERE tenant_id = p_tenant AND posted_at < p_at;
  RETURN true;
END $$;

-- The number of the tenant's first transaction that was posted at or after an instant, or the next number. Numbers and times rise together, so it is
-- found by halving: a probe of the index a bit, however many there are.
CREATE FUNCTION billing.first_seq(p_tenant text, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, billing AS $$
DECLARE
  earlier bigint := 0;
  later bigint := coalesce((SELECT seq FROM billing.heads WHERE tenant_id = p_tenant), 0) + 1;
  middle bigint;
BEGIN
  WHILE later - earlier > 1 LOOP
    middle := (earlier + later) / 2;
    IF (SELECT posted_at < p_at FROM billing.transactions WHERE tenant_id = p_tenant AND seq = middle) THEN
      earlier := middle;
    ELSE
      later := middle;
    END IF;
  END LOOP;
  RETURN later;
END $$;

-- opening + movements = closing, by posted_at. Entries sum to zero, so what moved for the tenant is the platform's side with the sign turned;
-- that side also says for what. One statement, one snapshot. p_month: its first day.
CREATE OR REPLACE FUNCTION billing.sum_up(p_tenant text, p_month date) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, billing AS $$
  WITH month AS (
    SELECT p_month::timestamp AT TIME ZONE 'UTC' AS start, (p_month + interval '1 month') AT TIME ZONE 'UTC' AS over),
  lines AS (
    SELECT e.transaction_id, coalesce(e.component, CASE e.account WHEN 'platform:uncollected' THEN 'uncollected' END) AS component, e.unit,
      sum(e.quantity) AS quantity, -sum(e.amount) AS amount
    FROM month m
    JOIN billing.entries e ON e.tenant_id = p_tenant AND e.posted_at >= m.start AND e.posted_at < m.over
      AND e.account IN ('platform:funding', 'platform:promotional', 'platform:revenue', 'platform:uncollected', 'platform:adjustments')
    GROUP BY 1, 2, 3),
  movements AS (
    SELECT t.kind, l.component, l.unit, sum(l.quantity)::bigint AS quantity, sum(l.amount)::bigint AS amount, count(*) AS transactions
    FROM lines l JOIN billing.transactions t ON t.id = l.transaction_id
    GROUP BY 1, 2, 3)
  SELECT jsonb_build_object(
    'opening', billing.balance_before(p_tenant, m.start),
    'movements', (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', v.kind, 'component', v.component, 'unit', v.unit, 'quantity', v.quantity, 'amount', v.amount,
        'transactions', v.transactions) ORDER BY v.kind DESC, v.component NULLS FIRST, v.unit), '[]') FROM movements v),
    'closing', billing.balance_before(p_tenant, m.over),
    'last', (SELECT jsonb_build_object('seq', t.seq, 'transaction_id', t.id, 'hash', encode(t.hash, 'hex')) FROM billing.transactions t
             WHERE t.tenant_id = p_tenant AND t.seq = billing.first_seq(p_tenant, m.over) - 1))
  FROM month m
$$;

-- The statement of a month: of one that is over, the one that is kept. closed_at is null while the month lasts.
-- Who has closed the time until its end (billing.close_until) in a transaction of its own before asks for no lock here: postings go on while it sums.
CREATE OR REPLACE FUNCTION billing.statement(p_tenant text, p_month date) RETURNS TABLE (statement jsonb, closed_at timestamptz)
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

  PERFORM billing.close_until(p_tenant, over - interval '1 microsecond');
  -- Months before the first transaction are all alike: nothing is kept of them.
  IF EXISTS (SELECT FROM billing.transactions t WHERE t.tenant_id = p_tenant AND t.seq = 1 AND t.posted_at < over) THEN
    INSERT INTO billing.statements (tenant_id, month, closed_at, statement)
    VALUES (p_tenant, p_month, clock_timestamp(), billing.sum_up(p_tenant, p_month)) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.statement, s.closed_at FROM billing.statements s WHERE s.tenant_id = p_tenant AND s.month = p_month;
  ELSE
    RETURN QUERY SELECT billing.sum_up(p_tenant, p_month), over;
  END IF;
END $$;

REVOKE EXECUTE ON FUNCTION
  billing.close_until(text, timestamptz), billing.first_seq(text, timestamptz), billing.sum_up(text, date), billing.statement(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.close_until(text, timestamptz), billing.first_seq(text, timestamptz), billing.statement(text, date) TO voiceplatform_app;
