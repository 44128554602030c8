-- Forgets the refreshes of a run if anything was copied after one of them began, as a resume does.
-- Run on: target. $1 run.
DELETE FROM timescale_migrate.task_log r
WHERE r.run = $1 AND r.phase = 'recompute'
  AND (SELECT max(c.ended_at) FROM timescale_migrate.task_log c WHERE c.run = r.run AND c.phase IN ('copy', 'tiered'))
    > (SELECT min(f.started_at) FROM timescale_migrate.task_log f WHERE f.run = r.run AND f.phase = 'recompute')
