-- What a tenant lets itself spend, in all (assistant_id '') or by one assistant, a day or a month in UTC.
CREATE TABLE billing.budgets (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES billing.heads,
  assistant_id text COLLATE "C" NOT NULL,
  per          text NOT NULL CHECK (per IN ('day', 'month')),
  amount       bigint NOT NULL CHECK (amount >= 0),
  PRIMARY KEY (tenant_id, assistant_id, per)
);
-- Every change of a tenant's set of budgets raises it.
ALTER TABLE billing.heads ADD COLUMN budgets_revision int NOT NULL DEFAULT 0;

-- What conversations have cost and still reserve, by the day their holds were placed: of all (assistant_id '') and of each assistant. Counted under
-- the head's lock and whether there are budgets or not, so that a budget that is set at noon knows of the morning. A month is the sum of its days.
CREATE TABLE billing.spending (
  tenant_id    text COLLATE "C" NOT NULL REFERENCES billing.heads,
  assistant_id text COLLATE "C" NOT NULL,
  day          date NOT NULL,
  held         bigint NOT NULL CHECK (held >= 0),
  charged      bigint NOT NULL CHECK (charged >= 0),
  PRIMARY KEY (tenant_id, assistant_id, day)
) WITH (fillfactor = 70);

-- Null: of a conversation that named none, or that was accepted before assistants were noted.
ALTER TABLE billing.holds ADD COLUMN assistant_id text COLLATE "C";

INSERT INTO billing.spending (tenant_id, assistant_id, day, held, charged)
SELECT h.tenant_id, '', (h.placed_at AT TIME ZONE 'UTC')::date,
  coalesce(sum(h.amount) FILTER (WHERE h.status = 'active'), 0),
  coalesce(sum(c.cost) FILTER (WHERE h.status = 'settled'), 0)
FROM billing.holds h
LEFT JOIN LATERAL (
  SELECT -sum(e.amount) AS cost FROM billing.entries e
  WHERE h.status = 'settled' AND e.transaction_id = h.transaction_id AND e.account IN ('available', 'held')
    AND NOT EXISTS (SELECT FROM billing.transactions r WHERE r.tenant_id = h.tenant_id AND r.idempotency_key = 'reversal:' || h.transaction_id)) c ON true
GROUP BY 1, 3;

-- What is spent and reserved of a budget's day or month. Without a search path of its own it is planned as a part of the query that asks.
CREATE FUNCTION billing.spent_of(b billing.budgets, p_day date) RETURNS TABLE (charged bigint, held bigint) LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(s.charged), 0)::bigint, coalesce(sum(s.held), 0)::bigint
  FROM billing.spending s
  WHERE s.tenant_id = b.tenant_id AND s.assistant_id = b.assistant_id
    AND s.day BETWEEN CASE b.per WHEN 'day' THEN p_day ELSE date_trunc('month', p_day)::date END
                  AND CASE b.per WHEN 'day' THEN p_day ELSE (date_trunc('month', p_day) + interval '1 month - 1 day')::date END
$$;

-- Counts what a hold reserves. VP403: a budget does not allow it; the message names the budget. The caller holds the head's lock.
-- What only the ledger's functions call is in plpgsql, whose plans are kept, and under their search path.
CREATE FUNCTION billing.reserve(p_tenant text, p_assistant text, p_placed_at timestamptz, p_amount bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  d date := (p_placed_at AT TIME ZONE 'UTC')::date;
  full_one record;
BEGIN
  INSERT INTO billing.spending AS s (tenant_id, assistant_id, day, held, charged)
  SELECT p_tenant, of, d, p_amount, 0 FROM unnest(ARRAY['', p_assistant]) AS of WHERE of IS NOT NULL
  ON CONFLICT (tenant_id, assistant_id, day) DO UPDATE SET held = s.held + excluded.held;

  SELECT b.assistant_id, b.per, b.amount, s.charged + s.held AS used INTO full_one
  FROM billing.budgets b, billing.spent_of(b, d) s
  WHERE b.tenant_id = p_tenant AND b.assistant_id IN ('', p_assistant) AND s.charged + s.held > b.amount
  ORDER BY b.assistant_id DESC, b.per LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'The budget of % micro-credits a % for % does not allow it: % are spent or reserved, and % more are needed.',
      full_one.amount, full_one.per, CASE full_one.assistant_id WHEN '' THEN 'all assistants' ELSE 'assistant ' || full_one.assistant_id END,
      full_one.used - p_amount, p_amount USING ERRCODE = 'VP403';
  END IF;
END $$;

-- Replaces the tenant's budgets: [{assistant_id | null, per, amount}, …]. Answers the new revision; null when the tenant has no account.
CREATE FUNCTION billing.set_budgets(p_tenant text, p_budgets jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  revision int;
BEGIN
  UPDATE billing.heads SET budgets_revision = budgets_revision + 1 WHERE tenant_id = p_tenant RETURNING budgets_revision INTO revision;
  DELETE FROM billing.budgets WHERE tenant_id = p_tenant;
  INSERT INTO billing.budgets (tenant_id, assistant_id, per, amount)
  SELECT p_tenant, coalesce(b.assistant_id, ''), b.per, b.amount FROM jsonb_to_recordset(p_budgets) AS b(assistant_id text, per text, amount bigint);
  RETURN revision;
END $$;

REVOKE EXECUTE ON FUNCTION
  billing.spent_of(billing.budgets, date), billing.reserve(text, text, timestamptz, bigint), billing.set_budgets(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.spent_of(billing.budgets, date), billing.set_budgets(text, jsonb) TO voiceplatform_app;
GRANT SELECT ON billing.budgets, billing.spending TO voiceplatform_app;
