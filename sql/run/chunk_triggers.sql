-- The chunks of a run whose triggers differ from those on the source. A chunk that TimescaleDB has made for its rows has those of the hypertable,
-- but all of them enabled.
-- Run on: target. $1 run.
-- Returns: one JSON array per chunk: its OID, its name, and the triggers that it has of its own on the source, or null if it has its hypertable's.
WITH filled(number, relation, own) AS (
    SELECT t.id, t.relation, t.own->'triggers'
    FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'chunk' AND t.state = 'done'
    UNION ALL
    SELECT r.number, c, NULL
    FROM (
        SELECT min(t.id) AS number, t.relation
        FROM timescale_migrate.task_log t
        WHERE t.run = $1 AND t.phase IN ('copy', 'tiered') AND t.destination = 'routed' AND t.state = 'done' AND t.relation IS NOT NULL
          AND NOT EXISTS (SELECT FROM timescale_migrate.adopted_log a WHERE a.run = $1 AND a.relation = t.relation)
        GROUP BY t.relation
    ) r, LATERAL timescale_migrate.routed_chunks($1, r.relation) c
)
SELECT json_build_array(f.relation::bigint, f.relation::pg_catalog.regclass, f.own)::text
FROM filled f
JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.relation
WHERE f.own IS NOT NULL OR EXISTS (
    SELECT FROM pg_catalog.pg_trigger r
    JOIN pg_catalog.pg_trigger g ON g.tgrelid = f.relation AND g.tgname = r.tgname AND g.tgenabled <> r.tgenabled AND NOT g.tgisinternal
    WHERE r.tgrelid = i.inhparent AND NOT r.tgisinternal)
ORDER BY f.number, f.relation
