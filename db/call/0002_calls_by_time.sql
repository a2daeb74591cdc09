-- GET /v1/analytics/calls
CREATE INDEX calls_by_time ON call.calls (tenant_id, created_at);
