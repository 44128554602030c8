-- The relations that a run has copied and compares with the source.
-- Run on: target. $1 run.
-- Returns: one JSON array per relation of the source: its name for users, the ids of its copy tasks, estimated rows and bytes.
SELECT json_build_array(min(t.object), array_agg(t.id ORDER BY t.id), sum(t.estimated_rows), sum(t.estimated_bytes))::text
FROM timescale_migrate.task_log t
JOIN pg_catalog.pg_class c ON c.oid = t.relation
WHERE t.run = $1 AND t.phase IN ('copy', 'tiered')
GROUP BY t.source, t.relation
ORDER BY min(t.id)
