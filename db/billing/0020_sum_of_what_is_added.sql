-- Entries that a statement adds sum to zero for each transaction, and so do all of a transaction's: whatever was there did before. To look at what is
-- added is enough, and costs the same however many entries there are; a plan made while there were few read all of them for each posting.
CREATE OR REPLACE FUNCTION billing.entries_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added GROUP BY transaction_id HAVING sum(amount) <> 0) THEN
    RAISE EXCEPTION 'the entries of a transaction do not sum to zero' USING ERRCODE = 'VP500';
  END IF;
  RETURN NULL;
END $$;
