-- CHECK constraints of chunks that are to be valid although those of their hypertables are not.
-- Run on: target. $1 run.
-- Returns: one JSON array per constraint: the chunk's OID and name, and the constraint's name.
SELECT json_build_array(t.relation::bigint, t.relation::pg_catalog.regclass, k.conname)::text
FROM timescale_migrate.task_log t
JOIN pg_catalog.pg_constraint k ON k.conrelid = t.relation AND k.contype = 'c' AND NOT k.convalidated AND t.own->'valid' ? k.conname
WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'chunk' AND t.state = 'done'
ORDER BY t.id, k.conname
