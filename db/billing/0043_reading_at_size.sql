-- GET /v1/billing/entries, newest first.
CREATE INDEX entries_of_tenant ON billing.entries (tenant_id, seq DESC, position DESC);
-- GET /v1/billing/transactions?subject_id= and ?kind=
CREATE INDEX transactions_of_subject ON billing.transactions (tenant_id, (metadata->>'subject_id'), seq DESC);
CREATE INDEX transactions_of_kind ON billing.transactions (tenant_id, kind, seq DESC);
DROP INDEX billing.transactions_late;

-- An expression of metadata is no condition of an index where row security stands before it: these two look under the owner's eyes, and tell no rows.
-- The numbers of the transactions of a call or session.
CREATE FUNCTION billing.seqs_of(p_tenant text, p_subject text) RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, billing AS $$
  SELECT seq FROM billing.transactions WHERE tenant_id = p_tenant AND metadata->>'subject_id' = p_subject
$$;

-- What a hold that is over was charged: by the transaction that ended it, and by what was learnt later.
CREATE FUNCTION billing.charged(p_tenant text, p_subject text, p_transaction text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
  SELECT coalesce(sum(amount), 0)::bigint FROM billing.entries
  WHERE account = 'platform:revenue' AND transaction_id = ANY(p_transaction || ARRAY(
    SELECT id FROM billing.transactions WHERE tenant_id = p_tenant AND metadata->>'subject_id' = p_subject AND kind = 'adjustment'))
$$;

-- Only the ledger's functions call these, under their search path: without one of their own they are planned as a part of the query that asks.
ALTER FUNCTION billing.entry_line(billing.entries) STABLE RESET ALL;
ALTER FUNCTION billing.chain_hash(bytea, billing.transactions, text) STABLE RESET ALL;

-- Recomputes a step of a tenant's chain: up to so many transactions after number p_seq, which led to these balances. Answers the number and the balances
-- that it comes to. first_broken: the first transaction that does not add up, or 'head' when the account is not where the last one leads; null: none.
CREATE FUNCTION billing.verify_step(p_tenant text, p_seq bigint, p_available bigint, p_held bigint, p_rows int)
RETURNS TABLE (seq bigint, available bigint, held bigint, first_broken text, is_over boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
#variable_conflict use_column
DECLARE
  start bytea := CASE WHEN p_seq = 0 THEN '\x' ELSE (SELECT hash FROM billing.transactions t WHERE t.tenant_id = p_tenant AND t.seq = p_seq) END;
  counted bigint;
  last_hash bytea;
BEGIN
  -- Each hash is held against the one before it as it is written: all of a step at once.
  WITH page AS (
    SELECT x.t, (x.t).id, (x.t).hash, (x.t).seq, p_seq + row_number() OVER w AS expected, coalesce(lag((x.t).hash) OVER w, start) AS previous
    FROM (SELECT t FROM billing.transactions t WHERE t.tenant_id = p_tenant AND t.seq > p_seq ORDER BY t.seq LIMIT p_rows) x
    WINDOW w AS (ORDER BY (x.t).seq)),
  judged AS (
    SELECT p.id, p.hash, p.expected, e.available, e.held,
      p.seq <> p.expected OR e.total <> 0 OR p.hash IS DISTINCT FROM billing.chain_hash(p.previous, p.t, e.lines) AS is_broken
    FROM page p
    CROSS JOIN LATERAL (
      SELECT string_agg(billing.entry_line(x), '' ORDER BY x.position) AS lines, coalesce(sum(x.amount), 0) AS total,
        sum(x.amount) FILTER (WHERE x.account = 'available') AS available, sum(x.amount) FILTER (WHERE x.account = 'held') AS held
      FROM billing.entries x WHERE x.transaction_id = p.id) e)
  SELECT count(*), (array_agg(j.hash ORDER BY j.expected DESC))[1], (array_agg(j.id ORDER BY j.expected) FILTER (WHERE j.is_broken))[1],
    coalesce(min(j.expected) FILTER (WHERE j.is_broken), p_seq + count(*)), p_available + coalesce(sum(j.available), 0), p_held + coalesce(sum(j.held), 0)
  INTO counted, last_hash, first_broken, seq, available, held
  FROM judged j;

  is_over := first_broken IS NOT NULL OR counted < p_rows;
  IF is_over AND first_broken IS NULL THEN
    SELECT 'head' INTO first_broken FROM (SELECT) one LEFT JOIN billing.heads h ON h.tenant_id = p_tenant
    WHERE (h.available, h.held, h.seq, h.hash) IS DISTINCT FROM (available, held, seq, coalesce(last_hash, start)) AND (seq > 0 OR h.tenant_id IS NOT NULL);
  END IF;
  RETURN NEXT;
END $$;

-- All of a tenant's chain and balances, in one snapshot. first_broken is null when all holds.
CREATE OR REPLACE FUNCTION billing.verify(p_tenant text) RETURNS TABLE (transactions bigint, first_broken text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  step record;
BEGIN
  SELECT 0::bigint AS seq, 0::bigint AS available, 0::bigint AS held, NULL::text AS first_broken, false AS is_over INTO step;
  WHILE NOT step.is_over LOOP
    SELECT * INTO step FROM billing.verify_step(p_tenant, step.seq, step.available, step.held, 5000);
  END LOOP;
  transactions := step.seq;
  first_broken := step.first_broken;
  RETURN NEXT;
END $$;

REVOKE EXECUTE ON FUNCTION
  billing.seqs_of(text, text), billing.charged(text, text, text), billing.verify_step(text, bigint, bigint, bigint, int), billing.verify(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  billing.seqs_of(text, text), billing.charged(text, text, text), billing.verify_step(text, bigint, bigint, bigint, int), billing.verify(text) TO voiceplatform_app;
