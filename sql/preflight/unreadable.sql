-- Objects to be copied that a role may not read; the role is not a superuser.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per finding: subject, detail, statement that grants what is missing.
SELECT json_build_array(
    format('%I.%I', n.nspname, c.relname),
    CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN format('no USAGE on schema %I', n.nspname)
        WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'no SELECT'
        ELSE 'row security hides rows from this role'
    END,
    CASE
        WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, current_user)
        WHEN NOT has_table_privilege(c.oid, 'SELECT')
        THEN format('GRANT SELECT ON %s %I.%I TO %I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, current_user)
        ELSE format('ALTER ROLE %I BYPASSRLS', current_user)
    END)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
-- Partitioned tables are locked by pg_dump.
WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT')
       OR (c.relkind = 'r' AND row_security_active(c.oid)))
-- Chunks after the hypertables that their rights come from.
ORDER BY n.nspname LIKE '\_timescaledb\_%', n.nspname, c.relname
