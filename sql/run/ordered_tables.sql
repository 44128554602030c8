-- These tables, each once, in the order in which every process locks them.
-- Run on: target. $1 names, quoted as in SQL.
SELECT to_json(r.oid::pg_catalog.regclass::text)::text
FROM (SELECT DISTINCT pg_catalog.to_regclass(n)::pg_catalog.oid AS oid FROM pg_catalog.unnest($1) n) r
WHERE r.oid IS NOT NULL ORDER BY r.oid
