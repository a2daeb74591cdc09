-- Charges what is not reserved first: the month of a number. What the tenant's credits do not cover is booked as uncollected, as at a conversation's
-- end. Budgets, which are of conversations, do not count it. p_key makes it once. p_lines as of settle_hold. p_entry_ids: two.
CREATE FUNCTION billing.charge(p_id text, p_tenant text, p_key text, p_metadata jsonb, p_lines jsonb, p_entry_ids text[], p_low_balance bigint)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  cost bigint;
  collected bigint;
  posted billing.posting;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT coalesce(sum(amount), 0) INTO cost FROM jsonb_to_recordset(p_lines) AS l(amount bigint);
  collected := least(cost, greatest(head.available + head.credit_limit, 0));
  posted := billing.post(p_id, p_tenant, 'charge', p_key, NULL, p_metadata,
    CASE WHEN collected > 0
      THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', -collected)) ELSE '[]' END
    || CASE WHEN cost > collected
       THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[2], 'account', 'platform:uncollected', 'amount', collected - cost)) ELSE '[]' END
    || (SELECT coalesce(jsonb_agg(l || '{"account": "platform:revenue"}' ORDER BY n), '[]') FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS x(l, n)),
    p_low_balance);
  IF NOT posted.replayed AND collected > 0 THEN
    PERFORM billing.draw(p_tenant, collected, posted.posted_at);
  END IF;
  RETURN posted;
END $$;

REVOKE EXECUTE ON FUNCTION billing.charge(text, text, text, jsonb, jsonb, text[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.charge(text, text, text, jsonb, jsonb, text[], bigint) TO voiceplatform_app;
