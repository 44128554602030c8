-- The chunks of a run whose triggers differ from those on the source.
-- Run on: target. $1 run.
-- Returns: one JSON array per chunk: its OID, its name, and the triggers that it has of its own on the source, or null if it has its hypertable's.
SELECT json_build_array(t.relation::bigint, t.relation::pg_catalog.regclass, t.own->'triggers')::text
FROM timescale_migrate.task_log t
JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.relation
WHERE t.run = $1 AND t.phase = 'copy' AND t.destination = 'chunk' AND t.state = 'done'
  AND (t.own ? 'triggers' OR EXISTS (
      SELECT FROM pg_catalog.pg_trigger r
      JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.relation AND g.tgname = r.tgname AND g.tgenabled <> r.tgenabled AND NOT g.tgisinternal
      WHERE r.tgrelid = i.inhparent AND NOT r.tgisinternal))
ORDER BY t.id
