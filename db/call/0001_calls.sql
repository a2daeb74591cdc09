CREATE SCHEMA call;
GRANT USAGE ON SCHEMA call TO voiceplatform_app;

-- One telephone call, from the request or the first ring to its end. What it was asked with stays with it.
CREATE TABLE call.calls (
  id                  text COLLATE "C" PRIMARY KEY,
  tenant_id           text COLLATE "C" NOT NULL,
  direction           text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
  status              text NOT NULL CHECK (status IN ('queued', 'dialing', 'ringing', 'in_progress',
                        'completed', 'busy', 'no_answer', 'rejected', 'canceled', 'failed', 'voicemail')),
  assistant_id        text COLLATE "C" NOT NULL,
  assistant_version   int NOT NULL,
  assistant_name      text NOT NULL,
  trunk_id            text COLLATE "C" NOT NULL,
  number_id           text COLLATE "C",
  from_number         text NOT NULL,
  to_number           text NOT NULL,
  is_test             boolean NOT NULL,
  metadata            jsonb NOT NULL,
  variables           jsonb NOT NULL,
  overrides           jsonb,
  voicemail           jsonb NOT NULL,
  retry               jsonb NOT NULL,          -- max_attempts, on, delay_s
  priority            int NOT NULL DEFAULT 0,
  schedule_at         timestamptz,
  expires_at          timestamptz,             -- outbound: not dialled by then, it is given up
  ring_timeout_s      int NOT NULL,
  max_duration_s      int NOT NULL,
  webhook_url         text,
  end_call_url        text,
  is_seed_003         boolean NOT NULL,
  created_at          timestamptz NOT NULL,
  started_at          timestamptz,             -- first dialled, or the first ring here
  ringing_at          timestamptz,
  answered_at         timestamptz,
  ended_at            timestamptz,
  ended_reason        text,
  cause               text,
  fault               text CHECK (fault IN ('callee', 'carrier', 'tenant', 'platform')),
  sip_status_code     int,
  sip_reason          text,
  cancel_requested_at timestamptz,
  deadline_at         timestamptz,             -- a terminal status comes by then, whatever dies
  attempts            int NOT NULL DEFAULT 0,  -- claimed
  dialed              int NOT NULL DEFAULT 0,  -- of them, those in which something was sent to the telephone network
  session_id          text COLLATE "C",
  room_name           text,
  participant_identity text,
  cost                bigint,
  cost_lines          jsonb,
  transaction_id      text COLLATE "C",
  record              boolean NOT NULL,
  record_separate     boolean NOT NULL,
  recording_status    text CHECK (recording_status IN ('starting', 'active', 'ready', 'failed')),
  recording_path      text,                    -- key in the bucket, or path under DATA_DIR; decided when it starts
  recording_in_bucket boolean,
  recording_egress_id text,
  recording_duration_ms bigint,
  recording_size      bigint,
  CONSTRAINT calls_room_name UNIQUE (room_name),
  CHECK ((ended_at IS NOT NULL) = (status IN ('completed', 'busy', 'no_answer', 'rejected', 'canceled', 'failed', 'voicemail')))
);
-- GET /v1/calls
CREATE INDEX calls_of_tenant ON call.calls (tenant_id, id DESC);
-- How many of a tenant's (of a trunk's) calls are up?
CREATE INDEX calls_up_of_tenant ON call.calls (tenant_id) WHERE status IN ('dialing', 'ringing', 'in_progress');
CREATE INDEX calls_up_of_trunk ON call.calls (trunk_id) WHERE status IN ('dialing', 'ringing', 'in_progress');
-- The sweeper: whose time is over?
CREATE INDEX calls_expiring ON call.calls (expires_at) WHERE status = 'queued';
CREATE INDEX calls_overdue ON call.calls (deadline_at) WHERE status IN ('dialing', 'ringing', 'in_progress');
CREATE INDEX calls_by_egress ON call.calls (recording_egress_id) WHERE recording_egress_id IS NOT NULL;

-- What waits to be dialled: narrow, and empty when all is done. A row leaves in the transaction that claims its call.
CREATE TABLE call.queue (
  call_id   text COLLATE "C" PRIMARY KEY REFERENCES call.calls,
  trunk_id  text COLLATE "C" NOT NULL,
  priority  int NOT NULL,
  due_at    timestamptz NOT NULL,
  is_due    boolean NOT NULL        -- due_at has passed, as the dialler last saw it
);
CREATE INDEX queue_due ON call.queue (trunk_id, priority DESC, due_at, call_id) WHERE is_due;
CREATE INDEX queue_waiting ON call.queue (due_at) WHERE NOT is_due;

-- One lane a trunk (a trunk has one tenant): whose turn it is, and how fast calls may be begun there.
CREATE TABLE call.lanes (
  trunk_id         text COLLATE "C" PRIMARY KEY,
  tenant_id        text COLLATE "C" NOT NULL,
  calls_per_second double precision,
  max_concurrent   int,
  next_at          timestamptz NOT NULL,     -- no call is begun before
  served_at        timestamptz NOT NULL
);
CREATE INDEX lanes_turn ON call.lanes (served_at);

-- Every time a call was taken up, written before anything is sent: (call, number) is the promise not to dial twice.
CREATE TABLE call.attempts (
  call_id         text COLLATE "C" NOT NULL REFERENCES call.calls,
  number          int NOT NULL,
  status          text NOT NULL CHECK (status IN ('dialing', 'answered', 'busy', 'no_answer', 'rejected', 'canceled', 'failed', 'not_dialed')),
  started_at      timestamptz NOT NULL,
  lease_until     timestamptz NOT NULL,      -- who claimed it is dead by then, and what came of it is not known
  sent_at         timestamptz,               -- from here on the number may have rung
  ended_at        timestamptz,
  session_id      text COLLATE "C",
  room_name       text,
  cause           text,
  fault           text,
  sip_status_code int,
  sip_reason      text,
  PRIMARY KEY (call_id, number)
);
CREATE INDEX attempts_open ON call.attempts (lease_until) WHERE status = 'dialing';

-- What happened to a call, for people: GET /v1/calls/{id}/events.
CREATE TABLE call.events (
  call_id text COLLATE "C" NOT NULL REFERENCES call.calls,
  at      timestamptz NOT NULL,
  seq     int GENERATED ALWAYS AS IDENTITY,
  kind    text NOT NULL,
  detail  text NOT NULL,
  PRIMARY KEY (call_id, seq)
);

-- Claims up to p_limit calls and writes their attempts. Lanes take turns, the one that waited longest first, each with a share of
-- what is asked for; what a lane leaves goes to the others in the next pass. Two diallers never work on one tenant at a
-- time, so that its limit holds.
CREATE FUNCTION call.claim(p_now timestamptz, p_limit int, p_tenant_limit int, p_lease interval)
RETURNS TABLE (call_id text, tenant_id text, trunk_id text, attempt int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  lane call.lanes;
  waiting int;
  share int;
  room int;
  pace_room int;
  pace_from timestamptz;
  taken int;
  left_over int := p_limit;
BEGIN
  UPDATE call.queue SET is_due = true WHERE call_id IN (SELECT q.call_id FROM call.queue q WHERE NOT q.is_due AND q.due_at <= p_now LIMIT 5000 FOR UPDATE SKIP LOCKED);

  -- At least ten a lane, so that a pass visits few of many: the others, having waited longer, are first in the next one.
  SELECT count(*) INTO waiting FROM (
    SELECT FROM call.lanes l WHERE l.next_at <= p_now AND EXISTS (SELECT FROM call.queue q WHERE q.trunk_id = l.trunk_id AND q.is_due) LIMIT p_limit) ready;
  IF waiting = 0 THEN
    RETURN;
  END IF;
  share := greatest(least(10, p_limit), p_limit / waiting);

  FOR lane IN
    SELECT l.* FROM call.lanes l
    WHERE l.next_at <= p_now AND EXISTS (SELECT FROM call.queue q WHERE q.trunk_id = l.trunk_id AND q.is_due)
    ORDER BY l.served_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    EXIT WHEN left_over <= 0;
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended('call.claim:' || lane.tenant_id, 0));

    room := least(share, left_over,
      p_tenant_limit - (SELECT count(*) FROM call.calls c WHERE c.tenant_id = lane.tenant_id AND c.status IN ('dialing', 'ringing', 'in_progress')),
      coalesce(lane.max_concurrent - (SELECT count(*) FROM call.calls c WHERE c.trunk_id = lane.trunk_id AND c.status IN ('dialing', 'ringing', 'in_progress')), share));
    -- Evenly spaced: nothing is saved up while the lane is idle, beyond a tenth of a second for fast ones.
    IF lane.calls_per_second IS NOT NULL THEN
      pace_from := CASE WHEN lane.calls_per_second > 10 THEN greatest(lane.next_at, p_now - interval '100 ms') ELSE p_now END;
      pace_room := 1 + floor(extract(epoch FROM p_now - pace_from) * lane.calls_per_second);
      room := least(room, pace_room);
    END IF;

    taken := 0;
    IF room > 0 THEN
      RETURN QUERY
        WITH picked AS (
          SELECT q.call_id FROM call.queue q WHERE q.trunk_id = lane.trunk_id AND q.is_due
          ORDER BY q.priority DESC, q.due_at, q.call_id LIMIT room FOR UPDATE SKIP LOCKED),
        gone AS (DELETE FROM call.queue q USING picked p WHERE q.call_id = p.call_id RETURNING q.call_id),
        claimed AS (
          UPDATE call.calls c SET status = 'dialing', attempts = c.attempts + 1, started_at = coalesce(c.started_at, p_now),
            deadline_at = p_now + make_interval(secs => c.ring_timeout_s + c.max_duration_s + 45)
          FROM gone g WHERE c.id = g.call_id AND c.status = 'queued' RETURNING c.id, c.tenant_id, c.trunk_id, c.attempts, c.ring_timeout_s),
        noted AS (
          INSERT INTO call.attempts (call_id, number, status, started_at, lease_until)
          SELECT c.id, c.attempts, 'dialing', p_now, p_now + make_interval(secs => c.ring_timeout_s) + p_lease FROM claimed c)
        SELECT c.id, c.tenant_id, c.trunk_id, c.attempts FROM claimed c;
      GET DIAGNOSTICS taken = ROW_COUNT;
    END IF;

    left_over := left_over - taken;
    UPDATE call.lanes l SET served_at = p_now,
      next_at = CASE WHEN taken > 0 AND lane.calls_per_second IS NOT NULL THEN pace_from + make_interval(secs => taken / lane.calls_per_second) ELSE l.next_at END
    WHERE l.trunk_id = lane.trunk_id;
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON call.calls, call.lanes, call.attempts TO voiceplatform_app;
GRANT SELECT, INSERT ON call.events TO voiceplatform_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON call.queue TO voiceplatform_app;
