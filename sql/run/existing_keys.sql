-- The valid foreign keys of the tables that a run writes to without having made them, and what FROM names to read all rows of both tables.
-- Run on: target. $1 run, $2 tables that it would write to.
-- Returns: one JSON array per key: its OID, its name, its table, the referenced table, and the two texts.
WITH adopted AS (
    SELECT relation FROM timescale_migrate.adopted_log WHERE run = $1 UNION SELECT unnest($2)
),
named AS NOT MATERIALIZED (
    SELECT c.oid, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS shown,
           pg_catalog.format(CASE WHEN c.relkind = 'p' OR timescale_migrate.is_hypertable(c.oid) THEN '%I.%I' ELSE 'ONLY %I.%I' END, n.nspname, c.relname) AS rows
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT json_build_array(f.oid::bigint, f.conname, t.shown, r.shown, t.rows, r.rows)::text
FROM pg_catalog.pg_constraint f
JOIN named t ON t.oid = f.conrelid AND t.nspname <> '_timescaledb_internal'
JOIN named r ON r.oid = f.confrelid
WHERE f.contype = 'f' AND f.convalidated AND f.conparentid = 0
  AND EXISTS (
      SELECT FROM adopted a
      WHERE a.relation IN (f.conrelid, f.confrelid)
         OR a.relation IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(f.conrelid) p)
         OR a.relation IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(f.confrelid) p))
ORDER BY t.shown, f.conname
