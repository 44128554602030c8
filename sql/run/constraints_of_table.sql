-- The tasks that have added constraints to a table that has one which is NOT VALID, or to the tables that it inherits from, those of
-- the topmost first.
-- Run on: target. $1 run, $2 the table, quoted as in SQL.
-- Returns: one JSON array per task: its id and its work.
WITH RECURSIVE above(relation, depth) AS (
    SELECT pg_catalog.to_regclass($2)::pg_catalog.oid, 0
    UNION ALL
    SELECT i.inhparent, a.depth + 1 FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.relation
)
SELECT json_build_array(t.id, t.work)::text
FROM timescale_migrate.task_log t
JOIN above a ON a.relation = pg_catalog.to_regclass(t.tables[1])
WHERE t.run = $1 AND t.phase = 'constraint' AND t.state = 'done'
  AND EXISTS (
      SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = pg_catalog.to_regclass($2) AND k.contype IN ('c', 'n') AND NOT k.convalidated)
ORDER BY a.depth DESC, t.id
