-- The sequences whose values are migrated, including those of identity columns.
-- Run on: source and target. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per sequence. last_value and is_called are read from the sequence itself.
-- `table`: the one whose column owns it, if any.
-- Sequences of extensions are left out, except those that the extension marks as configuration.
SELECT json_build_object(
    'oid', c.oid::int8,
    'schema', n.nspname,
    'name', c.relname,
    'owner', pg_catalog.pg_get_userbyid(c.relowner),
    'table', (
        SELECT o.refobjid::int8 FROM pg_catalog.pg_depend o
        WHERE o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = c.oid AND o.objsubid = 0
          AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.refobjsubid <> 0 AND o.deptype IN ('a', 'i'))
)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (
    pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
) ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
     AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
WHERE c.relkind = 'S' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND (x.oid IS NULL OR (c.oid = ANY (x.extconfig) AND x.extname NOT IN ('timescaledb', 'timescale_migrate')))
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend m
      JOIN pg_catalog.pg_extension e ON e.oid = m.refobjid AND e.extname IN ('timescaledb', 'timescale_migrate')
      WHERE m.classid = 'pg_catalog.pg_namespace'::regclass AND m.objid = c.relnamespace
        AND m.refclassid = 'pg_catalog.pg_extension'::regclass AND m.deptype = 'e')
ORDER BY c.oid
