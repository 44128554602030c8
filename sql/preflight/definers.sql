-- Functions of ordinary roles that run with their owner's rights.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON array [function, owner, OID] per function, by name.
SELECT json_build_array(p.oid::regprocedure::text, r.rolname, p.oid::int8)::text
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
WHERE p.prosecdef AND NOT r.rolsuper
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
