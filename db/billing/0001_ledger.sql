-- The double-entry credit ledger. Amounts are whole micro-credits. Everything is written by the functions below, which run as
-- the owner; the application's role may call them and read, and can neither insert, change nor remove an entry.
CREATE SCHEMA billing;
GRANT USAGE ON SCHEMA billing TO voiceplatform_app;

-- One row a tenant: the lock that puts its postings in a row, and the balances they lead to.
CREATE TABLE billing.heads (
  tenant_id    text COLLATE "C" PRIMARY KEY,
  seq          bigint NOT NULL DEFAULT 0,
  posted_at    timestamptz NOT NULL DEFAULT '-infinity',
  hash         bytea NOT NULL DEFAULT '\x',
  available    bigint NOT NULL DEFAULT 0,
  held         bigint NOT NULL DEFAULT 0,
  credit_limit bigint NOT NULL DEFAULT 0 CHECK (credit_limit >= 0),
  CONSTRAINT heads_held_not_negative CHECK (held >= 0)
);

CREATE TABLE billing.transactions (
  id              text COLLATE "C" PRIMARY KEY,
  tenant_id       text COLLATE "C" NOT NULL REFERENCES billing.heads,
  seq             bigint NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('topup', 'promotional', 'hold', 'extend', 'charge', 'release', 'reversal', 'adjustment')),
  idempotency_key text NOT NULL,
  posted_at       timestamptz NOT NULL,
  effective_at    timestamptz NOT NULL,
  metadata        jsonb NOT NULL,
  hash            bytea NOT NULL,
  CONSTRAINT transactions_seq UNIQUE (tenant_id, seq),
  CONSTRAINT transactions_idempotency_key UNIQUE (tenant_id, idempotency_key)
);

-- account: 'available' and 'held' are the tenant's; 'platform:…' are the other side.
CREATE TABLE billing.entries (
  id             text COLLATE "C" PRIMARY KEY,
  transaction_id text COLLATE "C" NOT NULL REFERENCES billing.transactions,
  tenant_id      text COLLATE "C" NOT NULL,
  seq            bigint NOT NULL,
  position       smallint NOT NULL,
  account        text NOT NULL CHECK (account IN ('available', 'held', 'platform:funding', 'platform:promotional', 'platform:revenue', 'platform:uncollected', 'platform:adjustments')),
  amount         bigint NOT NULL,
  balance_after  bigint,              -- of the tenant's accounts; the platform's are rolled up
  posted_at      timestamptz NOT NULL,
  component      text,                -- of a charge line: what was used, how much of it, at which rate
  quantity       bigint,
  unit           text,
  rate           bigint,              -- micro-credits per 'per' units
  per            bigint,
  rate_card      text,
  UNIQUE (transaction_id, position)
);
-- GET /v1/billing/entries, and a balance at a past instant: one probe.
CREATE INDEX entries_by_account ON billing.entries (tenant_id, account, posted_at DESC, seq DESC, position DESC) INCLUDE (balance_after);

CREATE TABLE billing.holds (
  id             text COLLATE "C" PRIMARY KEY,
  tenant_id      text COLLATE "C" NOT NULL REFERENCES billing.heads,
  subject_id     text COLLATE "C" NOT NULL CONSTRAINT holds_one_of_subject UNIQUE,
  amount         bigint NOT NULL CHECK (amount >= 0),
  rate_card      text NOT NULL,
  status         text NOT NULL CHECK (status IN ('active', 'settled', 'released', 'expired')),
  placed_at      timestamptz NOT NULL,
  ended_at       timestamptz,
  transaction_id text COLLATE "C"     -- the one that ended it
);
CREATE INDEX holds_of_tenant ON billing.holds (tenant_id, id DESC);

-- The database, not the caller, sees to it that every transaction's entries sum to zero and none is touched again.
CREATE FUNCTION billing.entries_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM billing.entries e WHERE e.transaction_id IN (SELECT transaction_id FROM added)
    GROUP BY e.transaction_id HAVING sum(e.amount) <> 0) THEN
    RAISE EXCEPTION 'the entries of a transaction do not sum to zero' USING ERRCODE = 'VP500';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER entries_sum_to_zero AFTER INSERT ON billing.entries
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.entries_sum_to_zero();

CREATE FUNCTION billing.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: post a reversal instead' USING ERRCODE = 'VP500';
END $$;
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.entries
  FOR EACH STATEMENT EXECUTE FUNCTION billing.append_only();
CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.transactions
  FOR EACH STATEMENT EXECUTE FUNCTION billing.append_only();

-- hash = sha256(previous hash ‖ UTF-8 of the lines below, each ended by a line feed):
--   v1, id, tenant, seq, kind, idempotency key, posted_at and effective_at in microseconds since 1970, metadata as jsonb prints it,
--   then for each entry in order: id|account|amount|balance_after|component|quantity|unit|rate|per|rate_card, empty where null.
CREATE FUNCTION billing.entry_line(e billing.entries) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT concat(e.id, '|', e.account, '|', e.amount, '|', e.balance_after, '|', e.component, '|', e.quantity, '|', e.unit, '|', e.rate, '|', e.per, '|', e.rate_card, E'\n')
$$;

CREATE FUNCTION billing.chain_hash(previous bytea, t billing.transactions, entry_lines text) RETURNS bytea LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog AS $$
  SELECT sha256(previous || convert_to(
    concat('v1', E'\n', t.id, E'\n', t.tenant_id, E'\n', t.seq, E'\n', t.kind, E'\n', t.idempotency_key, E'\n',
      (extract(epoch FROM t.posted_at) * 1000000)::bigint, E'\n', (extract(epoch FROM t.effective_at) * 1000000)::bigint, E'\n',
      t.metadata::text, E'\n', entry_lines), 'UTF8'))
$$;

CREATE TYPE billing.posting AS (transaction_id text, seq bigint, posted_at timestamptz, replayed boolean, available bigint, held bigint);

CREATE FUNCTION billing.open_account(p_tenant text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
  INSERT INTO billing.heads (tenant_id) VALUES (p_tenant) ON CONFLICT DO NOTHING
$$;

-- Posts one transaction: p_lines is [{id, account, amount, component?, quantity?, unit?, rate?, per?, rate_card?}, …].
-- VP402: the tenant's credits do not cover it. A known key changes nothing and answers what it led to the first time.
CREATE FUNCTION billing.post(p_id text, p_tenant text, p_kind text, p_key text, p_effective timestamptz, p_metadata jsonb, p_lines jsonb)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  t billing.transactions;
  added billing.entries[];
  d_available bigint;
  d_held bigint;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no account', p_tenant USING ERRCODE = 'VP404';
  END IF;

  SELECT * INTO t FROM billing.transactions WHERE tenant_id = p_tenant AND idempotency_key = p_key;
  IF FOUND THEN
    RETURN (t.id, t.seq, t.posted_at, true, head.available, head.held)::billing.posting;
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
  RETURN (t.id, t.seq, t.posted_at, false, head.available, head.held)::billing.posting;
END $$;

-- Reserves credits for a call or session. p_entry_ids: two. A subject has one hold: asking again answers the first.
CREATE FUNCTION billing.place_hold(p_hold text, p_id text, p_tenant text, p_subject text, p_amount bigint, p_rate_card text, p_entry_ids text[])
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
    INSERT INTO billing.holds (id, tenant_id, subject_id, amount, rate_card, status, placed_at)
    VALUES (p_hold, p_tenant, p_subject, p_amount, p_rate_card, 'active', posted.posted_at);
  END IF;
  RETURN posted;
END $$;

-- Raises a hold to at least p_at_least. Answers null when there is no active hold; VP402 when it is not covered.
CREATE FUNCTION billing.extend_hold(p_id text, p_tenant text, p_subject text, p_at_least bigint, p_entry_ids text[])
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
  RETURN posted;
END $$;

-- Ends a hold with what was used: p_lines are charge lines (amount ≥ 0, component, quantity, unit, rate, per, rate_card, id).
-- The rest goes back; what the hold does not cover is taken from what is available down to the limit; what is left after that is
-- booked as uncollected, because a conversation that happened must be able to end. A second call answers the first one's posting.
CREATE FUNCTION billing.settle_hold(p_id text, p_tenant text, p_subject text, p_metadata jsonb, p_lines jsonb, p_entry_ids text[])
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
    RETURN (SELECT (t.id, t.seq, t.posted_at, true, head.available, head.held)::billing.posting FROM billing.transactions t WHERE t.id = h.transaction_id);
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
    || (SELECT coalesce(jsonb_agg(l || '{"account": "platform:revenue"}' ORDER BY n), '[]') FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS x(l, n)));
  UPDATE billing.holds SET
    status = CASE WHEN cost > 0 THEN 'settled' ELSE 'released' END, ended_at = posted.posted_at, transaction_id = posted.transaction_id
  WHERE id = h.id;
  RETURN posted;
END $$;

-- Recomputes a tenant's chain and balances from the entries. first_broken is null when all holds.
CREATE FUNCTION billing.verify(p_tenant text) RETURNS TABLE (transactions bigint, first_broken text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  t billing.transactions;
  head billing.heads;
  previous bytea := '\x';
  expected_seq bigint := 0;
  lines text;
  total bigint;
  moved record;
  run_available bigint := 0;
  run_held bigint := 0;
BEGIN
  transactions := 0;
  FOR t IN SELECT * FROM billing.transactions WHERE tenant_id = p_tenant ORDER BY seq LOOP
    transactions := transactions + 1;
    expected_seq := expected_seq + 1;
    SELECT string_agg(billing.entry_line(e), '' ORDER BY e.position), coalesce(sum(e.amount), 0) INTO lines, total FROM billing.entries e WHERE e.transaction_id = t.id;
    SELECT coalesce(sum(amount) FILTER (WHERE account = 'available'), 0)::bigint AS a, coalesce(sum(amount) FILTER (WHERE account = 'held'), 0)::bigint AS h
      INTO moved FROM billing.entries WHERE transaction_id = t.id;
    run_available := run_available + moved.a;
    run_held := run_held + moved.h;
    IF t.seq <> expected_seq OR total <> 0 OR t.hash IS DISTINCT FROM billing.chain_hash(previous, t, lines) THEN
      first_broken := t.id;
      RETURN NEXT;
      RETURN;
    END IF;
    previous := t.hash;
  END LOOP;
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant;
  IF FOUND AND (head.available, head.held, head.seq, head.hash) IS DISTINCT FROM (run_available, run_held, expected_seq, previous) THEN
    first_broken := 'head';
  END IF;
  RETURN NEXT;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA billing FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  billing.open_account(text),
  billing.post(text, text, text, text, timestamptz, jsonb, jsonb),
  billing.place_hold(text, text, text, text, bigint, text, text[]),
  billing.extend_hold(text, text, text, bigint, text[]),
  billing.settle_hold(text, text, text, jsonb, jsonb, text[]),
  billing.verify(text) TO voiceplatform_app;
GRANT SELECT ON billing.heads, billing.transactions, billing.entries, billing.holds TO voiceplatform_app;
