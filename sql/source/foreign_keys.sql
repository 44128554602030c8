-- Foreign keys that are not validated: rows may violate them.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- Returns: one JSON array per foreign key: oid, table, name. A partition's copies of its parent's are not in it; those of chunks are in
-- excluded.sql.
SELECT json_build_array(f.oid::int8, format('%I.%I', n.nspname, c.relname), f.conname)::text
FROM pg_catalog.pg_constraint f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND NOT f.convalidated AND f.conparentid = 0
ORDER BY n.nspname, c.relname, f.conname
