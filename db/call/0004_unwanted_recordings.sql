-- The time for which the recording was wanted is over; null again when its file is removed.
ALTER TABLE call.calls ADD COLUMN recording_unwanted_at timestamptz;
CREATE INDEX calls_with_unwanted_recording ON call.calls (id) WHERE recording_unwanted_at IS NOT NULL;
