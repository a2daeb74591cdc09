-- For how many days what was said is kept (retention_days of the assistant, as it was when the conversation was accepted; null: for good), when that is
-- over, when what was said was removed, and when the last of it was: the events that told of it, which may have been on their way.
ALTER TABLE session.sessions
  ADD COLUMN retention_days int,
  ADD COLUMN forget_at      timestamptz,
  ADD COLUMN forgotten_at   timestamptz,
  ADD COLUMN cleared_at     timestamptz;
CREATE INDEX sessions_to_forget ON session.sessions (forget_at, id) WHERE forget_at IS NOT NULL AND cleared_at IS NULL;
GRANT DELETE ON session.lines, session.events, session.analyses TO voiceplatform_app;
