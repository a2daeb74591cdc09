-- The ledger's functions with budgets, grants and alerts. The order of locks stays: the head before anything else of its tenant.
DROP FUNCTION
  billing.post(text, text, text, text, timestamptz, jsonb, jsonb),
  billing.place_hold(text, text, text, text, bigint, text, text[]),
  billing.settle_hold(text, text, text, jsonb, jsonb, text[]),
  billing.reverse(text, text, text, text[]);

-- Posts one transaction: p_lines is [{id, account, amount, component?, quantity?, unit?, rate?, per?, rate_card?}, …].
-- VP402: the tenant's credits do not cover it. A known key changes nothing and answers what it led to the first time.
CREATE FUNCTION billing.post(
  p_id text, p_tenant text, p_kind text, p_key text, p_effective timestamptz, p_metadata jsonb, p_lines jsonb, p_low_balance bigint DEFAULT NULL)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  t billing.transactions;
  added billing.entries[];
  d_available bigint;
  d_held bigint;
  balance bigint;
  fell billing.fall;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no account', p_tenant USING ERRCODE = 'VP404';
  END IF;

  SELECT * INTO t FROM billing.transactions WHERE tenant_id = p_tenant AND idempotency_key = p_key;
  IF FOUND THEN
    RETURN (t.id, t.seq, t.posted_at, true, head.available, head.held, NULL, false)::billing.posting;
  END IF;

  t.id := p_id;
  t.tenant_id := p_tenant;
  t.seq := head.seq + 1;
  t.kind := p_kind;
  t.idempotency_key := p_key;
  t.posted_at := greatest(clock_timestamp(), head.posted_at + interval '1 microsecond');
  t.effective_at := coalesce(p_effective, t.posted_at);
  t.metadata := p_metadata;

  -- The balance after each entry of the tenant's two accounts: the head's balance plus all movements up to and with it.
  SELECT array_agg((
      l.id, t.id, t.tenant_id, t.seq, l.ord, l.account, l.amount,
      CASE l.account
        WHEN 'available' THEN head.available + l.running
        WHEN 'held' THEN head.held + l.running
      END,
      t.posted_at, l.component, l.quantity, l.unit, l.rate, l.per, l.rate_card)::billing.entries ORDER BY l.ord),
    coalesce(sum(l.amount) FILTER (WHERE l.account = 'available'), 0),
    coalesce(sum(l.amount) FILTER (WHERE l.account = 'held'), 0)
  INTO added, d_available, d_held
  FROM (
    SELECT r.*, sum(r.amount) OVER (PARTITION BY r.account ORDER BY r.ord)::bigint AS running
    FROM ROWS FROM (jsonb_to_recordset(p_lines) AS (id text, account text, amount bigint, component text, quantity bigint, unit text, rate bigint, per bigint, rate_card text))
      WITH ORDINALITY AS r(id, account, amount, component, quantity, unit, rate, per, rate_card, ord)) l;

  -- An account that is below its limit already may still move up.
  IF d_available < 0 AND head.available + d_available < -head.credit_limit THEN
    RAISE EXCEPTION 'credits: % to spend, % needed', head.available + head.credit_limit, -d_available USING ERRCODE = 'VP402';
  END IF;

  t.hash := billing.chain_hash(head.hash, t, (SELECT string_agg(billing.entry_line(e), '' ORDER BY e.position) FROM unnest(added) e));
  INSERT INTO billing.transactions SELECT (t).*;
  INSERT INTO billing.entries SELECT * FROM unnest(added);
  UPDATE billing.heads SET
    seq = t.seq, posted_at = t.posted_at, hash = t.hash, available = available + d_available, held = held + d_held
  WHERE tenant_id = p_tenant RETURNING * INTO head;

  -- What is only reserved or given back lowers nothing.
  IF d_available + d_held < 0 THEN
    balance := head.available + head.held + head.credit_limit;
    fell := billing.fall(p_tenant, balance - d_available - d_held, balance, p_low_balance);
  END IF;
  RETURN (t.id, t.seq, t.posted_at, false, head.available, head.held, fell.low_balance, coalesce(fell.exhausted, false))::billing.posting;
END $$;

-- Reserves credits for a call or session. p_entry_ids: two. A subject has one hold: asking again answers the first.
-- VP402: not covered. VP403: a budget does not allow it.
CREATE FUNCTION billing.place_hold(
  p_hold text, p_id text, p_tenant text, p_subject text, p_amount bigint, p_rate_card text, p_entry_ids text[], p_assistant text DEFAULT NULL)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  posted billing.posting;
BEGIN
  posted := billing.post(p_id, p_tenant, 'hold', 'hold:' || p_subject, NULL,
    jsonb_build_object('subject_id', p_subject, 'rate_card', p_rate_card),
    jsonb_build_array(
      jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', -p_amount),
      jsonb_build_object('id', p_entry_ids[2], 'account', 'held', 'amount', p_amount)));
  IF NOT posted.replayed THEN
    INSERT INTO billing.holds (id, tenant_id, subject_id, assistant_id, amount, rate_card, status, placed_at)
    VALUES (p_hold, p_tenant, p_subject, p_assistant, p_amount, p_rate_card, 'active', posted.posted_at);
    PERFORM billing.reserve(p_tenant, p_assistant, posted.posted_at, p_amount);
  END IF;
  RETURN posted;
END $$;

-- Raises a hold to at least p_at_least, of the day on which it was placed. Answers null when there is no active hold; VP402 when it is not
-- covered; VP403 when a budget does not allow it.
CREATE OR REPLACE FUNCTION billing.extend_hold(p_id text, p_tenant text, p_subject text, p_at_least bigint, p_entry_ids text[])
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  h billing.holds;
  posted billing.posting;
BEGIN
  -- The head is locked before the hold, everywhere, so that two of these never wait for each other.
  PERFORM FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT * INTO h FROM billing.holds WHERE tenant_id = p_tenant AND subject_id = p_subject AND status = 'active' FOR UPDATE;
  IF NOT FOUND OR h.amount >= p_at_least THEN
    RETURN NULL;
  END IF;
  posted := billing.post(p_id, p_tenant, 'extend', 'extend:' || p_subject || ':' || p_at_least, NULL,
    jsonb_build_object('subject_id', p_subject, 'rate_card', h.rate_card),
    jsonb_build_array(
      jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', h.amount - p_at_least),
      jsonb_build_object('id', p_entry_ids[2], 'account', 'held', 'amount', p_at_least - h.amount)));
  UPDATE billing.holds SET amount = p_at_least WHERE id = h.id;
  PERFORM billing.reserve(p_tenant, h.assistant_id, h.placed_at, p_at_least - h.amount);
  RETURN posted;
END $$;

-- Ends a hold with what was used: p_lines are charge lines (amount ≥ 0, component, quantity, unit, rate, per, rate_card, id).
-- The rest goes back; what the hold does not cover is taken from what is available down to the limit; what is left after that is
-- booked as uncollected, because a conversation that happened must be able to end. A second call answers the first one's posting.
CREATE FUNCTION billing.settle_hold(
  p_id text, p_tenant text, p_subject text, p_metadata jsonb, p_lines jsonb, p_entry_ids text[], p_low_balance bigint DEFAULT NULL)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  h billing.holds;
  cost bigint;
  from_available bigint;
  uncollected bigint;
  back bigint;
  posted billing.posting;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT * INTO h FROM billing.holds WHERE tenant_id = p_tenant AND subject_id = p_subject FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF h.status <> 'active' THEN
    RETURN (SELECT (t.id, t.seq, t.posted_at, true, head.available, head.held, NULL, false)::billing.posting FROM billing.transactions t WHERE t.id = h.transaction_id);
  END IF;

  SELECT coalesce(sum(amount), 0) INTO cost FROM jsonb_to_recordset(p_lines) AS l(amount bigint);
  back := greatest(h.amount - cost, 0);
  from_available := least(greatest(cost - h.amount, 0), greatest(head.available + head.credit_limit, 0));
  uncollected := greatest(cost - h.amount, 0) - from_available;

  posted := billing.post(p_id, p_tenant, CASE WHEN cost > 0 THEN 'charge' ELSE 'release' END, 'end:' || p_subject, NULL,
    p_metadata || jsonb_build_object('subject_id', p_subject, 'rate_card', h.rate_card),
    jsonb_build_array(jsonb_build_object('id', p_entry_ids[1], 'account', 'held', 'amount', -h.amount))
    || CASE WHEN back <> from_available
       THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[2], 'account', 'available', 'amount', back - from_available)) ELSE '[]' END
    || CASE WHEN uncollected > 0
       THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[3], 'account', 'platform:uncollected', 'amount', -uncollected)) ELSE '[]' END
    || (SELECT coalesce(jsonb_agg(l || '{"account": "platform:revenue"}' ORDER BY n), '[]') FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS x(l, n)),
    p_low_balance);
  UPDATE billing.holds SET
    status = CASE WHEN cost > 0 THEN 'settled' ELSE 'released' END, ended_at = posted.posted_at, transaction_id = posted.transaction_id
  WHERE id = h.id;

  UPDATE billing.spending SET held = held - h.amount, charged = charged + cost - uncollected
  WHERE tenant_id = p_tenant AND assistant_id IN ('', h.assistant_id) AND day = (h.placed_at AT TIME ZONE 'UTC')::date;
  IF cost > uncollected THEN
    PERFORM billing.draw(p_tenant, cost - uncollected, posted.posted_at);
  END IF;
  RETURN posted;
END $$;

-- Gives credits that a charge uses before those that were bought, and that may expire. p_entry_ids: two.
CREATE FUNCTION billing.grant_credits(p_id text, p_tenant text, p_key text, p_metadata jsonb, p_amount bigint, p_expires_at timestamptz, p_entry_ids text[])
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  posted billing.posting;
BEGIN
  posted := billing.post(p_id, p_tenant, 'promotional', p_key, NULL, p_metadata,
    jsonb_build_array(
      jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', p_amount),
      jsonb_build_object('id', p_entry_ids[2], 'account', 'platform:promotional', 'amount', -p_amount)));
  IF NOT posted.replayed THEN
    INSERT INTO billing.grants (transaction_id, tenant_id, amount, remaining, granted_at, expires_at)
    VALUES (posted.transaction_id, p_tenant, p_amount, p_amount, posted.posted_at, p_expires_at);
  END IF;
  RETURN posted;
END $$;

-- Takes back what is left of a grant whose time is over, as far as it is not held; conversations that run may still use what they hold, and
-- once they have ended the rest is taken the next time. amount: what was taken now. Null: there was nothing to do. p_entry_ids: two.
CREATE TYPE billing.expiry AS (
  transaction_id text, seq bigint, posted_at timestamptz, replayed boolean, available bigint, held bigint, low_balance bigint, exhausted boolean,
  amount bigint, expires_at timestamptz);

CREATE FUNCTION billing.expire_grant(p_id text, p_tenant text, p_grant text, p_entry_ids text[], p_low_balance bigint)
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

  take := least(g.remaining, greatest(head.available, 0));
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

ALTER TYPE billing.reversal ADD ATTRIBUTE low_balance bigint, ADD ATTRIBUTE exhausted boolean;

-- Takes back what a transaction moved in or out of a tenant's credits, once. p_entry_ids: one for the tenant's line, and one for each of the platform's.
-- Null: no such transaction. VP409: its kind has no reversal. VP410: promotional credits of which some have expired, so they were taken back already.
-- VP402: the tenant has spent what this would take back.
CREATE FUNCTION billing.reverse(p_id text, p_transaction text, p_reason text, p_entry_ids text[], p_low_balance bigint DEFAULT NULL)
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
  ELSIF NOT posted.replayed AND t.kind = 'charge' THEN
    UPDATE billing.spending s SET charged = s.charged - back
    FROM billing.holds h
    WHERE h.tenant_id = t.tenant_id AND h.subject_id = t.metadata->>'subject_id'
      AND s.tenant_id = h.tenant_id AND s.assistant_id IN ('', h.assistant_id) AND s.day = (h.placed_at AT TIME ZONE 'UTC')::date;
  END IF;
  RETURN (posted.transaction_id, posted.seq, posted.posted_at, posted.replayed, posted.available, posted.held, t.tenant_id, t.kind, back,
    posted.low_balance, posted.exhausted)::billing.reversal;
END $$;

REVOKE EXECUTE ON FUNCTION
  billing.post(text, text, text, text, timestamptz, jsonb, jsonb, bigint),
  billing.place_hold(text, text, text, text, bigint, text, text[], text),
  billing.settle_hold(text, text, text, jsonb, jsonb, text[], bigint),
  billing.grant_credits(text, text, text, jsonb, bigint, timestamptz, text[]),
  billing.expire_grant(text, text, text, text[], bigint),
  billing.reverse(text, text, text, text[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  billing.post(text, text, text, text, timestamptz, jsonb, jsonb, bigint),
  billing.place_hold(text, text, text, text, bigint, text, text[], text),
  billing.settle_hold(text, text, text, jsonb, jsonb, text[], bigint),
  billing.grant_credits(text, text, text, jsonb, bigint, timestamptz, text[]),
  billing.expire_grant(text, text, text, text[], bigint),
  billing.reverse(text, text, text, text[], bigint) TO voiceplatform_app;
