-- A run in one row.
-- Run on: target. $1 run.
SELECT r.state,
       count(DISTINCT t.target) FILTER (WHERE t.work -> 'into' ? 'table' AND h.target IS NULL),
       count(DISTINCT t.work #>> '{into,chunk,hypertable}'),
       count(DISTINCT t.target) FILTER (WHERE t.work -> 'into' ? 'chunk'),
       sum(t.rows)::bigint, sum(t.bytes)::bigint,
       r.duration,
       (SELECT count(*) FROM timescale_migrate.message_log m WHERE m.run = r.id AND m.level = 'warning')
FROM timescale_migrate.run r
LEFT JOIN timescale_migrate.task_log t ON t.run = r.id AND t.stage = 'copy'
-- A hypertable's own rows do not make it a table.
LEFT JOIN LATERAL (SELECT t.target WHERE t.object LIKE '% (its own rows)') h ON true
WHERE r.id = $1
GROUP BY r.id, r.state, r.duration
