-- Recordings whose end was not told: the sweeper asks after them.
CREATE INDEX calls_by_late_recording ON call.calls (ended_at) WHERE recording_status IN ('starting', 'active');
