-- The card with telephone and recording. In whole seconds of the answered call; the tenant's own carrier bills the line itself.
INSERT INTO billing.rate_cards (id, tenant_id, version, valid_from) VALUES ('default-2', NULL, 2, '2026-01-01T00:00:00Z');
INSERT INTO billing.rates (rate_card, component, unit, rate, per, increment, minimum)
SELECT 'default-2', component, unit, rate, per, increment, minimum FROM billing.rates WHERE rate_card = 'default-1';
INSERT INTO billing.rates (rate_card, component, unit, rate, per, increment, minimum) VALUES
  ('default-2', 'telephony_outbound', 'second', 400000, 60, 1, 1),
  ('default-2', 'telephony_inbound', 'second', 300000, 60, 1, 1),
  ('default-2', 'recording', 'second', 100000, 60, 1, 0);
