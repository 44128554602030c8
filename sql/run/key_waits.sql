-- The failed tasks whose rows a foreign key would read.
-- Run on: target. $1 run, $2 and $3 the two tables, quoted as in SQL.
-- Returns: the objects of the tasks.
WITH side(oid) AS (
    SELECT pg_catalog.unnest(ARRAY[pg_catalog.to_regclass($2), pg_catalog.to_regclass($3)])::pg_catalog.oid
)
SELECT to_json(t.object)::text
FROM timescale_migrate.task_log t
-- A task that compresses a chunk belongs to the copy task of that chunk.
LEFT JOIN timescale_migrate.task_log c ON t.phase = 'compression' AND c.id = ANY (t.copies)
CROSS JOIN LATERAL (
    SELECT pg_catalog.to_regclass((coalesce(c.tables, t.tables))[1])
) r(relation)
WHERE t.run = $1 AND t.state = 'failed' AND t.phase IN ('copy', 'tiered', 'compression')
  AND (r.relation IN (SELECT s.oid FROM side s)
       OR EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(r.relation) a WHERE a.relid IN (SELECT s.oid FROM side s)))
ORDER BY t.id
