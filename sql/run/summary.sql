-- A run in one row.
-- Run on: target. $1 run.
SELECT r.state, r.tables, r.hypertables, r.chunks, sum(t.rows)::bigint, sum(t.bytes)::bigint, v.duration, v.warnings
FROM timescale_migrate.run_log r
JOIN timescale_migrate.run v ON v.id = r.id
LEFT JOIN timescale_migrate.task_log t ON t.run = r.id AND t.phase IN ('copy', 'tiered')
WHERE r.id = $1
GROUP BY r.id, v.duration, v.warnings
