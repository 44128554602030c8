-- The hypertables for whose rows TimescaleDB has made the chunks, of which the statistics are still to be collected as a whole.
-- Run on: target. $1 run.
-- Returns: one JSON array per hypertable: the id of the task, the hypertable's name as {schema, name}, its number of chunks.
SELECT json_build_array(a.id, json_build_object('schema', n.nspname, 'name', c.relname), (
    SELECT count(*) FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.relation))::text
FROM (
    SELECT DISTINCT t.relation, t.tables FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'routed' AND t.relation IS NOT NULL
) t
JOIN timescale_migrate.task_log a ON a.run = $1 AND a.phase = 'analyze' AND a.state = 'pending' AND a.copies IS NULL AND a.tables = t.tables
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.tables[1])
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY a.id
