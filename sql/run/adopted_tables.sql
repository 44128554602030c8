-- The tables that a cleanup empties: those that a run filled without having made them, unless rows were in them before or may stay.
-- Run on: target. $1 run.
-- Returns: one JSON array per relation: its name as {schema, name}, and whether it is a continuous aggregate.
SELECT json_build_array(json_build_object('schema', n.nspname, 'name', c.relname), c.relkind = 'v')::text
FROM timescale_migrate.adopted_log a
JOIN pg_catalog.pg_class c ON c.oid = a.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.run = $1 AND a.empty AND NOT a.keeps
  -- Else what it holds is not the run's.
  AND EXISTS (SELECT FROM timescale_migrate.task_log t
              WHERE t.run = $1 AND t.phase = 'copy' AND t.state = 'done' AND pg_catalog.to_regclass(t.tables[1]) = a.relation)
ORDER BY c.oid
