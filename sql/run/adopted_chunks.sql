-- Statements that drop the chunks that a run brought into continuous aggregates which it did not make.
-- Run on: target. $1 run.
SELECT to_json('DROP TABLE ' || c)::text
FROM timescale_migrate.adopted_log a
JOIN pg_catalog.pg_class v ON v.oid = a.relation AND v.relkind = 'v'
CROSS JOIN LATERAL timescale_migrate.chunks_of(a.relation) c
WHERE a.run = $1 AND a.way = 'chunks'
