-- Records the relations that a run may write to although it did not make them; no other run may from now on, nor empty them.
-- Run on: target. $1 run, $2 a list of {relation, way, empty, keeps}.
-- Returns: one JSON array for each table that is new among them and that has to be empty: its OID, and how rows come in.
WITH a AS (
    SELECT * FROM pg_catalog.jsonb_to_recordset($2) a(relation oid, way text, empty boolean, keeps boolean)
), others AS (
    DELETE FROM timescale_migrate.adopted_log l USING a WHERE l.relation = a.relation AND l.run <> $1
), new AS (
    INSERT INTO timescale_migrate.adopted_log (run, relation, way, empty, keeps)
    SELECT $1, a.relation, a.way, a.empty, a.keeps
    FROM a
    ON CONFLICT DO NOTHING
    RETURNING relation, way, keeps
)
SELECT json_build_array(n.relation::bigint, n.way)::text
FROM new n JOIN pg_catalog.pg_class c ON c.oid = n.relation
WHERE NOT n.keeps AND c.relkind = 'r'
