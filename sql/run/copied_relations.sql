-- The relations that a run has copied and compares with the source.
-- Run on: target. $1 run.
-- Returns: one JSON array per relation of the source: its name for users, the ids of its copy tasks, estimated rows and bytes.
SELECT json_build_array(CASE WHEN count(DISTINCT t.source) = 1 THEN min(t.object) ELSE min(format('%I.%I', n.nspname, c.relname)) END, array_agg(t.id ORDER BY t.id), sum(t.estimated_rows), sum(t.estimated_bytes))::text
FROM timescale_migrate.task_log t
JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.run = $1 AND t.phase IN ('copy', 'tiered')
  -- What held rows before holds others than the source.
  AND NOT EXISTS (SELECT FROM timescale_migrate.adopted_log a WHERE a.run = $1 AND a.relation = t.relation AND NOT a.empty)
-- Several chunks may have come into one table.
GROUP BY t.relation, CASE WHEN t.phase = 'tiered' THEN t.source END
ORDER BY min(t.id)
