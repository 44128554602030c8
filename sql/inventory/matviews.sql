-- PostgreSQL's own materialized views. (Continuous aggregates are ordinary views to PostgreSQL.)
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per materialized view, in the order of creation.
SELECT json_build_object(
    'oid', c.oid::int8,
    'schema', n.nspname,
    'name', c.relname,
    'populated', c.relispopulated
)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm'
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid
