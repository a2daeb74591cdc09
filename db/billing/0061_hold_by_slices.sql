-- A hold is raised to p_at_least when it is below p_needed, so that it grows by slices and not with every word; where credits do not cover that, to
-- p_needed. Else it is as it was: of the day on which it was placed. Answers null when there is no active hold, or enough in it; VP402 when it is not
-- covered; VP403 when a budget does not allow it.
DROP FUNCTION billing.extend_hold(text, text, text, bigint, text[]);
CREATE FUNCTION billing.extend_hold(p_id text, p_tenant text, p_subject text, p_at_least bigint, p_entry_ids text[], p_needed bigint DEFAULT NULL)
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  head billing.heads;
  h billing.holds;
  target bigint := p_at_least;
  posted billing.posting;
BEGIN
  -- The head is locked before the hold, everywhere, so that two of these never wait for each other.
  SELECT * INTO head FROM billing.heads WHERE tenant_id = p_tenant FOR UPDATE;
  SELECT * INTO h FROM billing.holds WHERE tenant_id = p_tenant AND subject_id = p_subject AND status = 'active' FOR UPDATE;
  IF NOT FOUND OR h.amount >= least(p_needed, p_at_least) THEN
    RETURN NULL;
  END IF;
  IF head.available + head.credit_limit < p_at_least - h.amount THEN
    target := least(p_needed, p_at_least);
  END IF;
  posted := billing.post(p_id, p_tenant, 'extend', 'extend:' || p_subject || ':' || target, NULL,
    jsonb_build_object('subject_id', p_subject, 'rate_card', h.rate_card),
    jsonb_build_array(
      jsonb_build_object('id', p_entry_ids[1], 'account', 'available', 'amount', h.amount - target),
      jsonb_build_object('id', p_entry_ids[2], 'account', 'held', 'amount', target - h.amount)));
  UPDATE billing.holds SET amount = target WHERE id = h.id;
  PERFORM billing.reserve(p_tenant, h.assistant_id, h.placed_at, target - h.amount);
  RETURN posted;
END $$;
REVOKE EXECUTE ON FUNCTION billing.extend_hold(text, text, text, bigint, text[], bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.extend_hold(text, text, text, bigint, text[], bigint) TO voiceplatform_app;
