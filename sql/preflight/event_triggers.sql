-- The event triggers that fire in this database, without those of extensions.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON array per event trigger: its name, its event, OID of the catalog, OID.
SELECT json_build_array(t.evtname, t.evtevent, t.tableoid::int8, t.oid::int8)::text
FROM pg_catalog.pg_event_trigger t
WHERE t.evtenabled IN ('O', 'A')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY 1
