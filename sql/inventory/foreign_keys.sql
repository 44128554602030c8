-- The foreign keys of tables, except those that partitions have from their parent. Those of chunks are in excluded.sql.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per key. `partitioned`: whether the table and the referenced table are.
SELECT json_build_object(
    'oid', f.oid::int8,
    'name', f.conname,
    'validated', f.convalidated,
    'table', json_build_object('schema', n.nspname, 'name', c.relname),
    'references', json_build_object('schema', rn.nspname, 'name', r.relname),
    'partitioned', json_build_array(c.relkind = 'p', r.relkind = 'p')
)::text
FROM pg_catalog.pg_constraint f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = f.confrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0
ORDER BY n.nspname, c.relname, f.conname
