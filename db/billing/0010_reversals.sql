-- Takes back what a transaction moved in or out of a tenant's credits, once. What a charge took from a hold goes back to what is available: the
-- hold is over. Holds, their extensions and releases move nothing in or out: they end with their call or session.
-- Null: no such transaction. VP409: its kind has no reversal. VP402: the tenant has spent what this would take back.
CREATE TYPE billing.reversal AS (transaction_id text, seq bigint, posted_at timestamptz, replayed boolean, available bigint, held bigint, tenant_id text, kind text, amount bigint);

-- p_entry_ids: one for the tenant's line, and one for each of the platform's.
CREATE FUNCTION billing.reverse(p_id text, p_transaction text, p_reason text, p_entry_ids text[])
RETURNS billing.reversal LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  t billing.transactions;
  posted billing.posting;
  back bigint;
  lines jsonb;
BEGIN
  SELECT * INTO t FROM billing.transactions WHERE id = p_transaction;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF t.kind NOT IN ('topup', 'promotional', 'charge', 'adjustment') THEN
    RAISE EXCEPTION 'a % has no reversal', t.kind USING ERRCODE = 'VP409';
  END IF;

  SELECT coalesce(-sum(amount), 0) INTO back FROM billing.entries WHERE transaction_id = t.id AND account IN ('available', 'held');
  SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'id', p_entry_ids[l.n], 'account', l.account, 'amount', l.amount,
      'component', l.component, 'quantity', l.quantity, 'unit', l.unit, 'rate', l.rate, 'per', l.per, 'rate_card', l.rate_card)) ORDER BY l.n)
  INTO lines
  FROM (
    SELECT row_number() OVER (ORDER BY x.position) AS n, x.*
    FROM (
      SELECT 0 AS position, 'available' AS account, back AS amount, NULL AS component, NULL::bigint AS quantity, NULL AS unit, NULL::bigint AS rate, NULL::bigint AS per, NULL AS rate_card
      WHERE back <> 0
      UNION ALL
      SELECT e.position, e.account, -e.amount, e.component, -e.quantity, e.unit, e.rate, e.per, e.rate_card
      FROM billing.entries e WHERE e.transaction_id = t.id AND e.account NOT IN ('available', 'held')) x) l;

  -- The key makes it once.
  posted := billing.post(p_id, t.tenant_id, 'reversal', 'reversal:' || t.id, NULL,
    jsonb_strip_nulls(jsonb_build_object('reverses', t.id, 'reversed_kind', t.kind, 'reason', p_reason, 'subject_id', t.metadata->'subject_id')), lines);
  RETURN (posted.transaction_id, posted.seq, posted.posted_at, posted.replayed, posted.available, posted.held, t.tenant_id, t.kind, back)::billing.reversal;
END $$;

REVOKE EXECUTE ON FUNCTION billing.reverse(text, text, text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.reverse(text, text, text, text[]) TO voiceplatform_app;
