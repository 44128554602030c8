-- The foreign keys that a run has made from or to tables, or to partitioned tables that these belong to. Those that had to be
-- made before compressed chunks are left out: they could not be made again, and they do not prevent a copy.
-- Run on: target. $1 run, $2 the tables, quoted as in SQL.
-- Returns: one JSON array per key: the id of its task, and the task's work.
WITH wanted(relation) AS (
    SELECT pg_catalog.to_regclass(n)::pg_catalog.oid FROM pg_catalog.unnest($2) n
    UNION
    SELECT a.relid FROM pg_catalog.unnest($2) n, pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass(n)) a
)
SELECT json_build_array(t.id, t.work)::text
FROM timescale_migrate.task_log t
WHERE t.run = $1 AND t.phase = 'foreign_key' AND t.state = 'done'
  AND EXISTS (
      SELECT FROM pg_catalog.unnest(t.tables) k
      WHERE pg_catalog.to_regclass(k)::pg_catalog.oid IN (SELECT w.relation FROM wanted w))
ORDER BY t.id
