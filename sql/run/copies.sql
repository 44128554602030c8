-- The copy tasks of a run, for a comparison with a later snapshot.
-- Run on: target. $1 run.
-- Returns: one JSON object per task. One that is done without a relation has found nothing to copy. Of a relation that the run did not
-- make and that was dropped on the target since, nothing is done.
SELECT json_build_object(
    'id', t.id,
    'done', t.state = 'done' AND t.relation IS NOT NULL
            AND (NOT EXISTS (SELECT FROM timescale_migrate.adopted_log a WHERE a.run = $1)
                 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.relation)),
    'postponed', t.state = 'postponed',
    'object', t.object,
    'work', t.work)::text
FROM timescale_migrate.task_log t
WHERE t.run = $1 AND t.phase IN ('copy', 'tiered')
ORDER BY t.id
