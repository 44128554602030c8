-- The foreign keys that a run has made from or to a table, or to a partitioned table that it belongs to. Those that had to be
-- made before compressed chunks are left out: they could not be made again, and they do not prevent a copy.
-- Run on: target. $1 run, $2 the table, quoted as in SQL.
-- Returns: one JSON array per key: the id of its task, and the task's work.
SELECT json_build_array(t.id, t.work)::text
FROM timescale_migrate.task_log t
WHERE t.run = $1 AND t.phase = 'foreign_key' AND t.state = 'done'
  AND EXISTS (
      SELECT FROM (
          SELECT pg_catalog.to_regclass($2) AS oid
          UNION ALL
          SELECT a.relid FROM pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass($2)) a
      ) r
      WHERE r.oid IN (SELECT pg_catalog.to_regclass(k) FROM pg_catalog.unnest(t.tables) k))
ORDER BY t.id
