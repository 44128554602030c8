-- running -> failed | cancelled | refused
-- Run on: target, by the coordinator. $1 run, $2 state; the error in $3 to $9, $10 whether a run that has made nothing is refused rather than failed.
UPDATE timescale_migrate.run_log
SET state = CASE WHEN $10 AND starts = 1
                  AND (phase IN ('start', 'preflight') OR (kind = 'verify' AND phase = 'snapshot'))
                  AND NOT EXISTS (SELECT FROM timescale_migrate.has_made h WHERE h.run = $1)
                  AND NOT EXISTS (SELECT FROM timescale_migrate.task_log t WHERE t.run = $1)
                 THEN 'refused' ELSE $2 END,
    ended_at = clock_timestamp(), sqlstate = $3, error = $4,
    detail = $5, hint = $6, context = $7, object = $8, side = $9
WHERE id = $1 AND state = 'running'
