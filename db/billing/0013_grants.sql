-- Credits that were given, not bought, and how much of them is left. Charges draw from them first, soonest expiring first.
CREATE TABLE billing.grants (
  transaction_id text COLLATE "C" PRIMARY KEY REFERENCES billing.transactions,
  tenant_id      text COLLATE "C" NOT NULL REFERENCES billing.heads,
  amount         bigint NOT NULL CHECK (amount > 0),
  remaining      bigint NOT NULL CHECK (remaining BETWEEN 0 AND amount),
  expired        bigint NOT NULL DEFAULT 0 CHECK (expired BETWEEN 0 AND amount),    -- taken back by expiry
  granted_at     timestamptz NOT NULL,
  expires_at     timestamptz,             -- null: never
  ended_at       timestamptz,             -- used up, expired or reversed
  CONSTRAINT grants_end_with_nothing CHECK ((remaining = 0) = (ended_at IS NOT NULL))
);
CREATE INDEX grants_of_tenant ON billing.grants (tenant_id, transaction_id DESC);
CREATE INDEX grants_to_draw_from ON billing.grants (tenant_id, expires_at, transaction_id) WHERE ended_at IS NULL;
CREATE INDEX grants_to_expire ON billing.grants (expires_at) WHERE ended_at IS NULL;

ALTER TABLE billing.transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE billing.transactions ADD CONSTRAINT transactions_kind_check
  CHECK (kind IN ('topup', 'promotional', 'hold', 'extend', 'charge', 'release', 'reversal', 'adjustment', 'expiry'));

-- What was given before never expires; what has been charged since is drawn from it, the oldest first.
INSERT INTO billing.grants (transaction_id, tenant_id, amount, remaining, granted_at, ended_at)
SELECT g.id, g.tenant_id, g.amount, g.remaining, g.posted_at, CASE WHEN g.remaining = 0 THEN now() END
FROM (
  SELECT p.id, p.tenant_id, p.amount, p.posted_at, greatest(least(p.amount, p.so_far - coalesce(c.cost, 0)), 0)::bigint AS remaining
  FROM (
    SELECT t.id, t.tenant_id, t.posted_at, e.amount, sum(e.amount) OVER (PARTITION BY t.tenant_id ORDER BY t.seq) AS so_far
    FROM billing.transactions t
    JOIN billing.entries e ON e.transaction_id = t.id AND e.account = 'available' AND e.amount > 0
    WHERE t.kind = 'promotional'
      AND NOT EXISTS (SELECT FROM billing.transactions r WHERE r.tenant_id = t.tenant_id AND r.idempotency_key = 'reversal:' || t.id)) p
  LEFT JOIN (
    SELECT t.tenant_id, -sum(e.amount) AS cost
    FROM billing.transactions t
    JOIN billing.entries e ON e.transaction_id = t.id AND e.account IN ('available', 'held')
    WHERE t.kind = 'charge'
    GROUP BY t.tenant_id) c ON c.tenant_id = p.tenant_id) g;

-- Takes what was charged from the tenant's grants. The caller holds the head's lock.
CREATE FUNCTION billing.draw(p_tenant text, p_amount bigint, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE billing.grants g SET remaining = g.remaining - d.take, ended_at = CASE WHEN g.remaining = d.take THEN p_at END
  FROM (
    SELECT o.transaction_id, least(o.remaining, p_amount - o.drawn)::bigint AS take
    FROM (
      SELECT transaction_id, remaining, sum(remaining) OVER (ORDER BY expires_at, transaction_id) - remaining AS drawn
      FROM billing.grants WHERE tenant_id = p_tenant AND ended_at IS NULL) o
    WHERE o.drawn < p_amount) d
  WHERE g.transaction_id = d.transaction_id;
END $$;

REVOKE EXECUTE ON FUNCTION billing.draw(text, bigint, timestamptz) FROM PUBLIC;
GRANT SELECT ON billing.grants TO voiceplatform_app;
