-- The chunks of a relation, if it is a hypertable.
-- Run on: target. $1 the relation, quoted as in SQL.
-- Returns: one JSON object per chunk, its name as {schema, name}.
SELECT json_build_object('schema', n.nspname, 'name', c.relname)::text
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = pg_catalog.to_regclass($1)
  -- Other tables may inherit from a hypertable as well.
  AND timescale_migrate.chunk_id(i.inhrelid) IS NOT NULL
ORDER BY c.oid
