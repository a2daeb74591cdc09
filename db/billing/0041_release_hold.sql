-- Gives a hold back whole that nobody settles any more. p_status: released, by the operator, or expired, by time; p_metadata says why.
-- A hold that is over stays as it is: the posting is that of its end. Null: the subject never had one. p_entry_ids: two.
CREATE FUNCTION billing.release_hold(p_id text, p_tenant text, p_subject text, p_status text, p_metadata jsonb, p_entry_ids text[])
RETURNS billing.posting LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, billing AS $$
DECLARE
  posted billing.posting;
BEGIN
  IF p_status NOT IN ('released', 'expired') THEN
    RAISE EXCEPTION 'a hold does not become % by being given back', p_status USING ERRCODE = 'VP500';
  END IF;
  posted := billing.settle_hold(p_id, p_tenant, p_subject, p_metadata, '[]', p_entry_ids);
  IF NOT posted.replayed THEN
    UPDATE billing.holds SET status = p_status WHERE tenant_id = p_tenant AND subject_id = p_subject;
  END IF;
  RETURN posted;
END $$;

REVOKE EXECUTE ON FUNCTION billing.release_hold(text, text, text, text, jsonb, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing.release_hold(text, text, text, text, jsonb, text[]) TO voiceplatform_app;

-- Which holds ended in a time, and which have no end yet? Reconciliation, and the job that ends them, go by it.
CREATE INDEX holds_by_end ON billing.holds (ended_at, subject_id);
