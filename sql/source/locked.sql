-- The tables that other sessions have locked against reading, or wait to lock, those with the most such locks first. Chunks in TimescaleDB's
-- schema are left out, because a dump does not lock them.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON string per table, its quoted name.
SELECT to_json(format('%I.%I', n.nspname, c.relname))::text
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p') AND n.nspname <> '_timescaledb_internal'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
GROUP BY n.nspname, c.relname
ORDER BY count(*) DESC, n.nspname, c.relname
