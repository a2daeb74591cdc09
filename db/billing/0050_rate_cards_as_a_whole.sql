-- A card is made as a whole by the function below, under a lock and never for the past; from then on nobody adds a price to it.
REVOKE INSERT ON billing.rate_cards, billing.rates FROM voiceplatform_app;

-- prefix: of the number that is called, in E.164; the longest that fits is the price, '' is that of all others.
-- cost: what the provider charges the platform for 'per' units, in micro-credits; null: not known.
-- stated: the card itself set this price; the others are as they would have been without it.
ALTER TABLE billing.rates
  ADD COLUMN prefix text COLLATE "C" NOT NULL DEFAULT '' CHECK (prefix ~ '^(\+[1-9][0-9]{0,14})?$'),
  ADD COLUMN cost   bigint CHECK (cost >= 0),
  ADD COLUMN stated boolean NOT NULL DEFAULT true;
ALTER TABLE billing.rates DROP CONSTRAINT rates_pkey, ADD PRIMARY KEY (rate_card, prefix, component);

-- How much less than its rate costs what was used by the tenant's own key at a provider. Cards of before knew no difference.
ALTER TABLE billing.rate_cards
  ADD COLUMN own_key_discount_percent int NOT NULL DEFAULT 0 CHECK (own_key_discount_percent BETWEEN 0 AND 100),
  ADD COLUMN own_key_discount_stated  boolean NOT NULL DEFAULT false;

-- The next version for its time: the prices before it, what cards of the same instant set, and what is set now. For billing.add_rate_card alone.
CREATE FUNCTION billing.make_rate_card(p_tenant text, p_valid_from timestamptz, p_own_key_discount int, p_rates jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, billing AS $$
DECLARE
  same billing.rate_cards;
  base billing.rate_cards;
  made_version int;
  made_id text;
  prices bigint;
BEGIN
  SELECT * INTO same FROM billing.rate_cards WHERE tenant_id IS NOT DISTINCT FROM p_tenant AND valid_from = p_valid_from ORDER BY version DESC LIMIT 1;
  SELECT * INTO base FROM billing.rate_cards
  WHERE (tenant_id IS NOT DISTINCT FROM p_tenant AND valid_from < p_valid_from) OR (p_tenant IS NOT NULL AND tenant_id IS NULL AND valid_from <= p_valid_from)
  ORDER BY tenant_id NULLS LAST, valid_from DESC, version DESC LIMIT 1;
  SELECT coalesce(max(version), 0) + 1 INTO made_version FROM billing.rate_cards WHERE tenant_id IS NOT DISTINCT FROM p_tenant;
  made_id := coalesce(p_tenant, 'default') || '-' || made_version;

  INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from, own_key_discount_percent, own_key_discount_stated)
  VALUES (made_id, p_tenant, made_version, p_valid_from,
    coalesce(p_own_key_discount, CASE WHEN same.own_key_discount_stated THEN same.own_key_discount_percent END, base.own_key_discount_percent),
    p_own_key_discount IS NOT NULL OR coalesce(same.own_key_discount_stated, false));
  INSERT INTO billing.rates (rate_card, component, prefix, unit, rate, per, increment, minimum, cost, stated)
  SELECT DISTINCT ON (x.prefix, x.component) made_id, x.component, x.prefix, x.unit, x.rate, x.per, x.increment, x.minimum, x.cost, x.turn < 3
  FROM (
    SELECT 1 AS turn, n.* FROM jsonb_to_recordset(p_rates) AS n(component text, prefix text, unit text, rate bigint, per bigint, increment bigint, minimum bigint, cost bigint)
    UNION ALL
    SELECT 2, component, prefix, unit, rate, per, increment, minimum, cost FROM billing.rates WHERE rate_card = same.id AND stated
    UNION ALL
    SELECT 3, component, prefix, unit, rate, per, increment, minimum, cost FROM billing.rates WHERE rate_card = base.id) x
  ORDER BY x.prefix, x.component, x.turn;
  GET DIAGNOSTICS prices = ROW_COUNT;
  IF prices > 5000 THEN
    RAISE EXCEPTION 'a card of % prices: 5000 are the most', prices USING ERRCODE = 'VP413';
  END IF;
  RETURN made_id;
END $$;

-- Sets prices from a time on (null: now), for a tenant or (null) for all that have no card. p_rates: [{component, prefix, unit, rate, per, increment,
-- minimum, cost?}, …]. What is set holds until a later card sets it itself: cards that are announced for later are made anew as their next versions,
-- with what they set and with what is set now beside it. Answers the card's id; null: no such tenant. VP410: p_valid_from is past.
CREATE FUNCTION billing.add_rate_card(p_tenant text, p_valid_from timestamptz, p_own_key_discount int, p_rates jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  made text;
  announced record;
BEGIN
  -- Before anything is read: who comes second begins with what the first one set.
  PERFORM pg_advisory_xact_lock(hashtextextended('billing.rate_cards', 0));
  IF p_tenant IS NOT NULL AND NOT EXISTS (SELECT FROM billing.heads WHERE tenant_id = p_tenant) THEN
    RETURN NULL;
  END IF;
  -- A request takes its time to come here: a minute ago still means now.
  IF p_valid_from < clock_timestamp() - interval '1 minute' THEN
    RAISE EXCEPTION 'a rate card is never dated back' USING ERRCODE = 'VP410';
  END IF;
  p_valid_from := greatest(coalesce(p_valid_from, clock_timestamp()), clock_timestamp());

  made := billing.make_rate_card(p_tenant, p_valid_from, p_own_key_discount, p_rates);
  -- A tenant whose first card is announced has the installation's prices until then, and goes on from them.
  FOR announced IN
    SELECT c.tenant_id, c.valid_from FROM billing.rate_cards c
    WHERE c.valid_from > p_valid_from AND (c.tenant_id IS NOT DISTINCT FROM p_tenant OR (p_tenant IS NULL
      AND NOT EXISTS (SELECT FROM billing.rate_cards own WHERE own.tenant_id = c.tenant_id AND own.valid_from <= p_valid_from)))
    GROUP BY c.tenant_id, c.valid_from ORDER BY c.tenant_id NULLS FIRST, c.valid_from
  LOOP
    PERFORM billing.make_rate_card(announced.tenant_id, announced.valid_from, NULL, '[]');
  END LOOP;
  RETURN made;
END $$;

REVOKE EXECUTE ON FUNCTION billing.make_rate_card(text, timestamptz, int, jsonb), billing.add_rate_card(text, timestamptz, int, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.add_rate_card(text, timestamptz, int, jsonb) TO voiceplatform_app;

-- What was not priced yet. The tenant's carrier bills the number itself. Realtime audio in tokens, as its providers count. With one's own key the
-- provider is paid already.
DO $$
DECLARE
  added constant jsonb := '[
    {"component": "realtime_audio_input", "prefix": "", "unit": "token", "rate": 64000000, "per": 1000000, "increment": 1, "minimum": 0},
    {"component": "realtime_cached_audio_input", "prefix": "", "unit": "token", "rate": 800000, "per": 1000000, "increment": 1, "minimum": 0},
    {"component": "realtime_audio_output", "prefix": "", "unit": "token", "rate": 128000000, "per": 1000000, "increment": 1, "minimum": 0},
    {"component": "number", "prefix": "", "unit": "month", "rate": 0, "per": 1, "increment": 1, "minimum": 0}]';
  owner record;
BEGIN
  PERFORM billing.add_rate_card(NULL, NULL, 100, added);
  FOR owner IN SELECT DISTINCT tenant_id FROM billing.rate_cards WHERE tenant_id IS NOT NULL AND valid_from <= now() LOOP
    PERFORM billing.add_rate_card(owner.tenant_id, NULL, 100, added);
  END LOOP;
END $$;
