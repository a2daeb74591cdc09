-- What the tenant's active holds may still draw of a grant: charges draw in the order of expiry, so what was given earlier is drawn first.
CREATE FUNCTION billing.kept_for_holds(g billing.grants, p_held bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT greatest(0, p_held - coalesce((
    SELECT sum(e.remaining) FROM billing.grants e
    WHERE e.tenant_id = g.tenant_id AND e.ended_at IS NULL AND (e.expires_at, e.transaction_id) < (g.expires_at, g.transaction_id)), 0))::bigint
$$;

-- Takes back what is left of a grant whose time is over, but for what conversations that run may still draw of it: once they have ended, the rest is
-- taken the next time. amount: what was taken now. Null: there was nothing to do. p_entry_ids: two.
CREATE OR REPLACE FUNCTION billing.expire_grant(p_id text, p_tenant text, p_grant text, p_entry_ids text[], p_low_balance bigint)
RETURNS billing.expiry LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  g billing.grants;
  take bigint;
  is_over boolean;
  posted billing.posting;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT * INTO g FROM billing.grants
  WHERE transaction_id = p_grant AND tenant_id = p_tenant AND ended_at IS NULL AND expires_at <= clock_timestamp();
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;

  take := least(greatest(g.remaining - billing.kept_for_holds(g, head.held), 0), greatest(head.available, 0));
  is_over := take = g.remaining OR head.held = 0;
  IF take > 0 THEN
    -- What remains only falls, so the key is this step's own.
    posted := billing.post(p_id, p_tenant, 'expiry', 'expiry:' || p_grant || ':' || g.remaining, NULL,
      jsonb_build_object('grant', p_grant, 'expires_at', g.expires_at),
      jsonb_build_array(
        jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', -take),
        jsonb_build_object('id', p_entry_ids[2], 'account', 'platform:promotional', 'amount', take)),
      p_low_balance);
  END IF;
  UPDATE billing.grants SET
    remaining = CASE WHEN is_over THEN 0 ELSE remaining - take END, expired = expired + take, ended_at = CASE WHEN is_over THEN clock_timestamp() END
  WHERE transaction_id = p_grant;
  IF take = 0 THEN
    RETURN NULL;
  END IF;
  RETURN (posted.transaction_id, posted.seq, posted.posted_at, false, posted.available, posted.held, posted.low_balance, posted.exhausted, take, g.expires_at)::billing.expiry;
END $$;

-- Takes back what a transaction moved in or out of a tenant's credits, once. p_entry_ids: one for the tenant's line, and one for each of the platform's.
-- Null: no such transaction. VP409: its kind has no reversal. VP410: promotional credits of which some have expired, so they were taken back already.
-- VP402: the tenant has spent what this would take back.
CREATE OR REPLACE FUNCTION billing.reverse(p_id text, p_transaction text, p_reason text, p_entry_ids text[], p_low_balance bigint DEFAULT NULL)
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
  PERFORM FROM billing.heads WHERE tenant_id = t.tenant_id FOR UPDATE;
  IF t.kind = 'promotional' AND EXISTS (SELECT FROM billing.grants WHERE transaction_id = t.id AND expired > 0) THEN
    RAISE EXCEPTION 'promotional credits that have expired were taken back' USING ERRCODE = 'VP410';
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
    jsonb_strip_nulls(jsonb_build_object('reverses', t.id, 'reversed_kind', t.kind, 'reason', p_reason, 'subject_id', t.metadata->'subject_id')), lines, p_low_balance);
  IF NOT posted.replayed AND t.kind = 'promotional' THEN
    UPDATE billing.grants SET remaining = 0, ended_at = posted.posted_at WHERE transaction_id = t.id AND ended_at IS NULL;
  ELSIF NOT posted.replayed AND t.kind IN ('charge', 'adjustment') THEN
    UPDATE billing.spending s SET charged = s.charged - back
    FROM billing.holds h
    WHERE h.tenant_id = t.tenant_id AND h.subject_id = t.metadata->>'subject_id'
      AND s.tenant_id = h.tenant_id AND s.assistant_id IN ('', h.assistant_id) AND s.day = (h.placed_at AT TIME ZONE 'UTC')::date;
  END IF;
  RETURN (posted.transaction_id, posted.seq, posted.posted_at, posted.replayed, posted.available, posted.held, t.tenant_id, t.kind, back,
    posted.low_balance, posted.exhausted)::billing.reversal;
END $$;

-- What adjustments that were reversed have given back is no longer spent.
UPDATE billing.spending s SET charged = greatest(s.charged - b.back, 0)
FROM (
  SELECT h.tenant_id, a.of AS assistant_id, (h.placed_at AT TIME ZONE 'UTC')::date AS day, sum(e.amount)::bigint AS back
  FROM billing.transactions r
  JOIN billing.entries e ON e.transaction_id = r.id AND e.account = 'available'
  JOIN billing.holds h ON h.tenant_id = r.tenant_id AND h.subject_id = r.metadata->>'subject_id'
  CROSS JOIN LATERAL unnest(ARRAY['', h.assistant_id]) AS a(of)
  WHERE r.kind = 'reversal' AND r.metadata->>'reversed_kind' = 'adjustment'
  GROUP BY 1, 2, 3) b
WHERE s.tenant_id = b.tenant_id AND s.assistant_id = b.assistant_id AND s.day = b.day;

REVOKE EXECUTE ON FUNCTION
  billing.kept_for_holds(billing.grants, bigint),
  billing.expire_grant(text, text, text, text[], bigint),
  billing.reverse(text, text, text, text[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  billing.kept_for_holds(billing.grants, bigint),
  billing.expire_grant(text, text, text, text[], bigint),
  billing.reverse(text, text, text, text[], bigint) TO voiceplatform_app;
