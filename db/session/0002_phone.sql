-- Conversations on the telephone. Their hold belongs to the call, which exists before its session and may have several, one an attempt.
ALTER TABLE session.sessions ADD COLUMN hold_subject text COLLATE "C";
UPDATE session.sessions SET hold_subject = id;
ALTER TABLE session.sessions ALTER COLUMN hold_subject SET NOT NULL;
ALTER TABLE session.sessions ADD COLUMN call_id text COLLATE "C";
ALTER TABLE session.sessions ADD COLUMN phone jsonb;         -- direction, numbers, voicemail; null: no telephone
ALTER TABLE session.sessions ADD COLUMN overrides jsonb;     -- what differs from the pinned version for this conversation
ALTER TABLE session.sessions ADD COLUMN is_recorded boolean NOT NULL DEFAULT false;
ALTER TABLE session.sessions ADD CONSTRAINT sessions_phone CHECK ((call_id IS NULL) = (phone IS NULL));
