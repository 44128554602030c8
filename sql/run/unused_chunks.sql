-- The chunks of the hypertables of a run that no task of it has filled.
-- Run on: target. $1 run.
-- Returns: one JSON number per chunk, its OID.
SELECT to_json(c::oid::bigint)::text
FROM timescale_migrate.made_hypertables($1) h
CROSS JOIN LATERAL timescale_migrate.chunks_of(h.relation) c
WHERE NOT EXISTS (
    SELECT FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.state = 'done' AND t.phase = 'copy' AND t.relation = c)
