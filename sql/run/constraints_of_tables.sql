-- The tasks that have added constraints to tables that have one which is NOT VALID, or to the tables that these inherit from, those of
-- the topmost first.
-- Run on: target. $1 run, $2 the tables, quoted as in SQL.
-- Returns: one JSON array per task: its id and its work.
WITH RECURSIVE above(relation, depth) AS (
    SELECT r.relation::pg_catalog.oid, 0
    FROM (SELECT pg_catalog.to_regclass(n) AS relation FROM pg_catalog.unnest($2) n) r
    WHERE EXISTS (
        SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = r.relation AND k.contype IN ('c', 'n') AND NOT k.convalidated)
    UNION ALL
    SELECT i.inhparent, a.depth + 1 FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.relation
)
SELECT json_build_array(t.id, t.work)::text
FROM timescale_migrate.task_log t
JOIN (SELECT relation, max(depth) AS depth FROM above GROUP BY relation) a ON a.relation = pg_catalog.to_regclass(t.tables[1])
WHERE t.run = $1 AND t.phase = 'constraint' AND t.state = 'done'
ORDER BY a.depth DESC, t.id
