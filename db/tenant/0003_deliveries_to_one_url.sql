-- One event may go to a URL that is nobody's webhook as well: the call's own, the assistant's. Such a delivery names the URL itself.
ALTER TABLE tenant.deliveries ALTER COLUMN webhook_id DROP NOT NULL;
ALTER TABLE tenant.deliveries ADD COLUMN url text;
ALTER TABLE tenant.deliveries ADD CONSTRAINT deliveries_one_receiver CHECK ((webhook_id IS NULL) <> (url IS NULL));
