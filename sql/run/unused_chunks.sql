-- The chunks of the hypertables of a run that no task of it has filled. TimescaleDB has made those of a hypertable that a table has
-- become, and none of them is known to a task.
-- Run on: target. $1 run.
-- Returns: one JSON number per chunk, its OID.
SELECT to_json(c::oid::bigint)::text
FROM (
    SELECT m.relation FROM timescale_migrate.made_hypertables($1) m
    UNION ALL SELECT a.relation FROM timescale_migrate.adopted_log a WHERE a.run = $1 AND a.way = 'chunks'
) h
CROSS JOIN LATERAL timescale_migrate.chunks_of(h.relation) c
WHERE NOT EXISTS (
    SELECT FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.state = 'done' AND t.phase = 'copy' AND t.relation = c)
  AND NOT EXISTS (
    SELECT FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'routed' AND t.relation = h.relation)
