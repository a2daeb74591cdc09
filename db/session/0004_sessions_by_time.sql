-- GET /v1/analytics/latency and /usage
CREATE INDEX sessions_by_time ON session.sessions (tenant_id, created_at);
