-- Tenants are kept apart here, in one place: a connection that works for a tenant says so (app.tenant), and then sees and writes rows of that tenant
-- only, whatever a query forgot to ask for. Work of the platform itself (dialler, sweepers, senders) says nothing and sees all rows.
-- Tables without a tenant_id are reached through one that has it.

-- Guards what is not guarded yet: `migrate` calls it each time when all files are applied, so that no new table is forgotten.
CREATE FUNCTION platform.guard_tenants() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  unguarded record;
  -- Subqueries, so that the setting is read once a statement and not once a row.
  nobody constant text := $sql$(SELECT coalesce(current_setting('app.tenant', true), '')) = ''$sql$;
  tenant constant text := $sql$(SELECT current_setting('app.tenant', true))$sql$;
  own text;
BEGIN
  FOR unguarded IN
    SELECT c.oid::regclass AS name, a.attname AS owner, a.attnotnull AS always_owned
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname = CASE WHEN n.nspname = 'tenant' AND c.relname = 'tenants' THEN 'id' ELSE 'tenant_id' END
    WHERE c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
      AND n.nspname IN ('tenant', 'platform', 'assistant', 'trunk', 'call', 'session', 'billing')
  LOOP
    own := format('%s OR %I = %s', nobody, unguarded.owner, tenant);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', unguarded.name);
    -- A row that is nobody's (a default rate card) is everybody's to read.
    EXECUTE format('CREATE POLICY own_rows ON %s USING (%s%s) WITH CHECK (%s)', unguarded.name, own, CASE WHEN unguarded.always_owned THEN '' ELSE ' OR tenant_id IS NULL' END, own);
  END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION platform.guard_tenants() FROM PUBLIC;
