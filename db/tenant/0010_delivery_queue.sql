-- What is on its way. A delivery leaves this table when it has arrived or is given up, so that the table stays small beside
-- millions of deliveries, and its dead rows are cleared away within seconds.
CREATE TABLE tenant.delivery_queue (
  delivery_id text COLLATE "C" PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL,
  lane        text COLLATE "C" NOT NULL,  -- one receiver: a webhook, or one URL of one tenant
  subject_id  text COLLATE "C" NOT NULL,
  sequence    int NOT NULL,
  due_at      timestamptz NOT NULL,       -- while it is being sent: when the lease is over
  tries       int NOT NULL DEFAULT 0,     -- since it was queued
  lease       uuid                        -- of the claim that is sending it
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
-- The sender: what of this receiver is due, and which receivers have something due?
CREATE INDEX delivery_queue_due ON tenant.delivery_queue (lane, due_at, delivery_id);
-- The sender: is an earlier one of the same subject still on its way?
CREATE INDEX delivery_queue_order ON tenant.delivery_queue (lane, subject_id, sequence);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant.delivery_queue TO voiceplatform_app;

CREATE FUNCTION tenant.delivery_lane(tenant_id text, webhook_id text, url text) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT coalesce(webhook_id, tenant_id || ':' || encode(sha256(convert_to(url, 'UTF8')), 'hex')) $$;

INSERT INTO tenant.delivery_queue (delivery_id, tenant_id, lane, subject_id, sequence, due_at, tries)
SELECT id, tenant_id, tenant.delivery_lane(tenant_id, webhook_id, url), subject_id, sequence, next_attempt_at, attempts FROM tenant.deliveries WHERE status = 'pending';

DROP INDEX tenant.deliveries_due, tenant.deliveries_of_subject;
ALTER TABLE tenant.deliveries DROP COLUMN next_attempt_at;
-- The event knows its tenant; one look-up less for each delivery.
ALTER TABLE tenant.deliveries DROP CONSTRAINT deliveries_tenant_id_fkey;
-- Once to each webhook; read by event too: where did it go, and may it be cleared away?
ALTER TABLE tenant.deliveries DROP CONSTRAINT deliveries_once;
ALTER TABLE tenant.deliveries ADD CONSTRAINT deliveries_once UNIQUE (event_id, webhook_id);
-- GET /v1/webhooks/{id}/deliveries?status=, and replay of what did not arrive: few among many.
CREATE INDEX deliveries_not_delivered ON tenant.deliveries (webhook_id, id DESC) WHERE status <> 'delivered';
-- Clearing away: what is old enough?
CREATE INDEX deliveries_completed ON tenant.deliveries (completed_at) WHERE completed_at IS NOT NULL;
-- Replay by range: ids of events are in the order of their time.
CREATE INDEX events_of_tenant ON tenant.events (tenant_id, id);
ALTER TABLE tenant.events SET (autovacuum_vacuum_scale_factor = 0.01);

-- A replay makes the bytes again from the event, and reads whether it was a test.
ALTER TABLE tenant.events ADD COLUMN is_test boolean NOT NULL DEFAULT false;

ALTER TABLE tenant.delivery_attempts ADD COLUMN answer text;

ALTER TABLE tenant.webhooks
  ADD COLUMN description     text NOT NULL DEFAULT '',
  ADD COLUMN signing         text NOT NULL DEFAULT 'hmac' CHECK (signing IN ('hmac', 'ed25519')),
  ADD COLUMN public_key      text,          -- of ed25519
  ADD COLUMN previous_secret bytea,         -- sealed; signs beside the present one until:
  ADD COLUMN previous_until  timestamptz,
  ADD COLUMN disabled_reason text CHECK (disabled_reason IN ('user', 'gone', 'failing')),
  ADD COLUMN failing_since   timestamptz,   -- the first failure since the last success
  ADD COLUMN failing_told_at timestamptz,   -- webhook.failing was announced and webhook.recovered not yet
  ADD COLUMN revision        int NOT NULL DEFAULT 1;
UPDATE tenant.webhooks SET disabled_reason = 'user' WHERE disabled_at IS NOT NULL;
-- The health check: who fails, or has stopped failing?
CREATE INDEX webhooks_failing ON tenant.webhooks (failing_since) WHERE deleted_at IS NULL AND (failing_since IS NOT NULL OR failing_told_at IS NOT NULL);

GRANT DELETE ON tenant.events, tenant.deliveries, tenant.delivery_attempts TO voiceplatform_app;

-- Takes what is due of each lane, as much as the lane has places, under a lease. A delivery waits while an earlier one of its
-- subject is on its way in the same lane: it is put off until that one is due again, for two seconds at most while that one is being sent
-- (its end releases it at once). Three statements, each with the view of its own moment: what ended in between is not waited for.
-- Gives a row for each delivery taken up; its body is null where it was put off. Plans are kept by the connection: one made while the
-- queue was nearly empty must not read all of it when it is long (hence enable_seqscan).
CREATE FUNCTION tenant.claim_deliveries(at timestamptz, lease_for interval, token uuid, lanes text[], places int[])
RETURNS TABLE (lane text, tenant_id text, delivery_id text, tries int, event_id text, body bytea, url text, webhook_id text, signing text, secret bytea, previous_secret bytea, is_gone boolean)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE taken text[];
BEGIN
  SELECT array_agg(t.delivery_id) INTO taken
  FROM unnest(lanes, places) AS wanted(lane, places)
  CROSS JOIN LATERAL (
    SELECT q.delivery_id FROM tenant.delivery_queue q WHERE q.lane = wanted.lane AND q.due_at <= at
    ORDER BY q.due_at, q.delivery_id LIMIT wanted.places FOR UPDATE SKIP LOCKED) t;
  IF taken IS NULL THEN
    RETURN;
  END IF;

  UPDATE tenant.delivery_queue q SET due_at = at + lease_for, tries = q.tries + 1, lease = token
  WHERE q.delivery_id = ANY (taken) AND NOT EXISTS (
    SELECT FROM tenant.delivery_queue e WHERE e.lane = q.lane AND e.subject_id = q.subject_id AND e.sequence < q.sequence);

  UPDATE tenant.delivery_queue q SET due_at = held.until
  FROM (
    SELECT h.delivery_id, (
      SELECT CASE WHEN e.lease IS NULL THEN e.due_at ELSE least(e.due_at, at + interval '2 s') END
      FROM tenant.delivery_queue e WHERE e.lane = h.lane AND e.subject_id = h.subject_id AND e.sequence < h.sequence ORDER BY e.sequence LIMIT 1) AS until
    FROM tenant.delivery_queue h WHERE h.delivery_id = ANY (taken) AND h.lease IS DISTINCT FROM token) held
  WHERE q.delivery_id = held.delivery_id AND held.until IS NOT NULL;

  -- What goes to a URL of its own is signed with the secret of the tenant's webhook at that URL, and not at all where there is none.
  RETURN QUERY
  SELECT q.lane, q.tenant_id, q.delivery_id, q.tries, d.event_id, CASE WHEN q.lease = token THEN d.body END, coalesce(d.url, w.url), w.id, w.signing, w.secret,
    CASE WHEN w.previous_until > at THEN w.previous_secret END, d.url IS NULL AND (w.deleted_at IS NOT NULL OR w.disabled_at IS NOT NULL)
  FROM tenant.delivery_queue q
  JOIN tenant.deliveries d ON d.id = q.delivery_id
  LEFT JOIN tenant.webhooks w ON w.id = coalesce(d.webhook_id, (
    SELECT h.id FROM tenant.webhooks h WHERE h.tenant_id = d.tenant_id AND h.url = d.url AND h.deleted_at IS NULL AND h.disabled_at IS NULL ORDER BY h.id LIMIT 1))
  WHERE q.delivery_id = ANY (taken);
END $$;

-- Notes how attempts went, many at once. An attempt is always kept; what becomes of its delivery is decided only by who still holds
-- the lease. Gives the lanes in which something may go on now.
CREATE FUNCTION tenant.note_deliveries(
  at timestamptz, ids text[], tokens uuid[], started timestamptz[], durations int[], statuses int[], errors text[], answers text[], outcomes text[], nexts timestamptz[])
RETURNS TABLE (lane text, tenant_id text)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH results AS (
    SELECT * FROM unnest(ids, tokens, started, durations, statuses, errors, answers, outcomes, nexts)
      AS r(id, token, started_at, duration_ms, status_code, error, answer, outcome, next_at)),
  again AS (
    UPDATE tenant.delivery_queue q SET due_at = r.next_at, lease = NULL FROM results r
    WHERE q.delivery_id = r.id AND q.lease = r.token AND r.outcome = 'pending'),
  ended AS (
    DELETE FROM tenant.delivery_queue q USING results r
    WHERE q.delivery_id = r.id AND q.lease = r.token AND r.outcome <> 'pending'
    RETURNING q.delivery_id, q.lane, q.subject_id),
  counted AS (
    UPDATE tenant.deliveries d SET attempts = d.attempts + 1,
      status = CASE WHEN o.delivery_id IS NULL THEN d.status ELSE r.outcome END, completed_at = CASE WHEN o.delivery_id IS NULL THEN d.completed_at ELSE at END
    FROM results r LEFT JOIN ended o ON o.delivery_id = r.id WHERE d.id = r.id
    RETURNING d.id, d.attempts),
  kept AS (
    INSERT INTO tenant.delivery_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error, answer)
    -- Two results of one delivery at once (a sender that lost its lease, and its successor): the batch must not fail for it.
    SELECT DISTINCT ON (r.id) r.id, c.attempts, r.started_at, r.duration_ms, r.status_code, r.error, r.answer
    FROM counted c JOIN results r ON r.id = c.id ORDER BY r.id, r.started_at DESC
    ON CONFLICT DO NOTHING),
  released AS (
    UPDATE tenant.delivery_queue q SET due_at = at FROM ended o
    WHERE q.lane = o.lane AND q.subject_id = o.subject_id AND q.lease IS NULL AND q.delivery_id <> o.delivery_id
    RETURNING q.lane, q.tenant_id)
  SELECT DISTINCT released.lane, released.tenant_id FROM released;

  UPDATE tenant.webhooks w SET failing_since = NULL
  FROM (SELECT DISTINCT d.webhook_id FROM unnest(ids, outcomes) AS r(id, outcome) JOIN tenant.deliveries d ON d.id = r.id WHERE r.outcome = 'delivered') good
  WHERE w.id = good.webhook_id AND w.failing_since IS NOT NULL AND w.disabled_at IS NULL;

  UPDATE tenant.webhooks w SET failing_since = at
  FROM (SELECT d.webhook_id FROM unnest(ids, outcomes) AS r(id, outcome) JOIN tenant.deliveries d ON d.id = r.id
        GROUP BY d.webhook_id HAVING bool_and(r.outcome <> 'delivered')) bad
  WHERE w.id = bad.webhook_id AND w.failing_since IS NULL AND w.disabled_at IS NULL AND w.deleted_at IS NULL;
END $$;

-- Numbers events after their commit. Only the holder of the lock numbers, and it takes what is committed now: later commits get later numbers.
CREATE FUNCTION tenant.number_events(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE numbered int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('tenant.sequencer')) THEN
    RETURN 0;
  END IF;

  UPDATE tenant.events e SET position = n.position
  FROM (SELECT waiting.id, nextval('tenant.event_position') AS position
        FROM (SELECT w.id FROM (SELECT id, tenant_id, subject_id, sequence FROM tenant.events WHERE position IS NULL ORDER BY id LIMIT batch) w
              -- Events of one subject in their order, also within a millisecond, in which ids know none.
              ORDER BY max(w.id) OVER (PARTITION BY w.tenant_id, w.subject_id ORDER BY w.sequence), w.subject_id, w.sequence) waiting) n
  WHERE e.id = n.id;
  GET DIAGNOSTICS numbered = ROW_COUNT;
  RETURN numbered;
END $$;

-- A replay by range that is under way: the cursor is the last event that was looked at.
CREATE TABLE tenant.replays (
  id          text COLLATE "C" PRIMARY KEY,
  tenant_id   text COLLATE "C" NOT NULL,
  webhook_id  text COLLATE "C" NOT NULL REFERENCES tenant.webhooks,
  first_event text COLLATE "C" NOT NULL,   -- ids of events between which everything is looked at; the first is in, the last is not
  last_event  text COLLATE "C" NOT NULL,
  event_types text[] NOT NULL,
  only_failed boolean NOT NULL,
  cursor      text COLLATE "C" NOT NULL,
  created_at  timestamptz NOT NULL,
  CONSTRAINT replays_once UNIQUE (webhook_id, first_event, last_event, event_types, only_failed)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant.replays TO voiceplatform_app;

-- Mail on its way; a row goes when it was sent or given up.
CREATE TABLE tenant.mails (
  id              text COLLATE "C" PRIMARY KEY,
  tenant_id       text COLLATE "C" NOT NULL,
  recipient       text NOT NULL,
  subject         text NOT NULL,
  body            text NOT NULL,
  created_at      timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  attempts        int NOT NULL DEFAULT 0
);
CREATE INDEX mails_due ON tenant.mails (next_attempt_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant.mails TO voiceplatform_app;
