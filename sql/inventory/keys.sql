-- The primary keys and unique constraints of ordinary tables whose index PostgreSQL can take over from CREATE UNIQUE INDEX: not those WITHOUT
-- OVERLAPS, and not those of partitioned tables.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON object per constraint, with what CREATE UNIQUE INDEX and ALTER TABLE take. Chunks are among the tables if they are in
-- a schema of the user's own.
SELECT json_build_object(
    'oid', k.oid::int8,
    'name', k.conname,
    'table', json_build_object('schema', n.nspname, 'name', c.relname),
    'primary', k.contype = 'p',
    'columns', (
        SELECT json_agg(a.attname ORDER BY u.number)
        FROM unnest(x.indkey) WITH ORDINALITY u(attnum, number)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
        WHERE u.number <= x.indnkeyatts),
    'included', (
        SELECT coalesce(json_agg(a.attname ORDER BY u.number), '[]')
        FROM unnest(x.indkey) WITH ORDINALITY u(attnum, number)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
        WHERE u.number > x.indnkeyatts),
    -- Since PostgreSQL 15.
    'nulls_not_distinct', coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false),
    'options', coalesce(to_json(i.reloptions), '[]'),
    'deferrable', k.condeferrable,
    'deferred', k.condeferred
)::text
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index x ON x.indexrelid = k.conindid
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = i.relam AND m.amname = 'btree'
WHERE k.contype IN ('p', 'u') AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_timescaledb_catalog', '_timescaledb_internal')
ORDER BY n.nspname, c.relname, k.conname
