-- Charges what is learnt of a conversation after its end: an adjustment, by the card it was accepted under. What the tenant's credits do not cover is
-- booked as uncollected, as at the end itself. Null: the subject never had a hold. p_key: of this step; the same one changes nothing.
-- p_lines as of settle_hold. p_entry_ids: two.
CREATE FUNCTION billing.charge_late(p_id text, p_tenant text, p_subject text, p_key text, p_lines jsonb, p_entry_ids text[], p_low_balance bigint)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  h billing.holds;
  cost bigint;
  collected bigint;
  posted billing.posting;
BEGIN
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT * INTO h FROM billing.holds WHERE tenant_id = p_tenant AND subject_id = p_subject;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF h.status = 'active' THEN
    RAISE EXCEPTION 'the hold of % is active: settle it', p_subject USING ERRCODE = 'VP500';
  END IF;

  SELECT coalesce(sum(amount), 0) INTO cost FROM jsonb_to_recordset(p_lines) AS l(amount bigint);
  collected := least(cost, greatest(head.available + head.credit_limit, 0));
  posted := billing.post(p_id, p_tenant, 'adjustment', 'late:' || p_subject || ':' || p_key, NULL,
    jsonb_build_object('subject_id', p_subject, 'rate_card', h.rate_card, 'reason', 'late_usage'),
    CASE WHEN collected > 0
      THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', -collected)) ELSE '[]' END
    || CASE WHEN cost > collected
       THEN jsonb_build_array(jsonb_build_object('id', p_entry_ids[2], 'account', 'platform:uncollected', 'amount', collected - cost)) ELSE '[]' END
    || (SELECT coalesce(jsonb_agg(l || '{"account": "platform:revenue"}' ORDER BY n), '[]') FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS x(l, n)),
    p_low_balance);
  IF NOT posted.replayed AND collected > 0 THEN
    UPDATE billing.spending SET charged = charged + collected
    WHERE tenant_id = p_tenant AND assistant_id IN ('', h.assistant_id) AND day = (h.placed_at AT TIME ZONE 'UTC')::date;
    PERFORM billing.draw(p_tenant, collected, posted.posted_at);
  END IF;
  RETURN posted;
END $$;

REVOKE EXECUTE ON FUNCTION billing.charge_late(text, text, text, text, jsonb, text[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.charge_late(text, text, text, text, jsonb, text[], bigint) TO voiceplatform_app;

-- Reconciliation, and what a conversation has cost in all: which adjustments are there of it?
CREATE INDEX transactions_late ON billing.transactions ((metadata->>'subject_id')) WHERE kind = 'adjustment';
