-- Enters the indexes and constraints that are new on the source, and that workers will make.
-- Run on: target. $1 run, $2 objects, $3 MD5 of their definitions.
INSERT INTO timescale_migrate.schema_log (run, object, digest, made)
SELECT $1, n.object, n.digest, false
FROM unnest($2::text[], $3::text[]) n(object, digest)
WHERE EXISTS (
    SELECT FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.object = n.object AND t.phase IN ('index', 'constraint', 'hypertable_key', 'foreign_key'))
ON CONFLICT (run, object) DO NOTHING
