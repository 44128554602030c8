-- running -> failed | cancelled | refused
-- Run on: target, by the coordinator. $1 run, $2 state; the error in $3 to $9, $10 whether a run that has made nothing is refused rather than failed.
-- Without a hint of its own, the error of a migration has that it can be continued.
UPDATE timescale_migrate.run_log r
SET state = e.state, ended_at = clock_timestamp(), sqlstate = $3, error = $4, detail = $5,
    hint = coalesce($6, CASE WHEN e.state = 'failed' AND r.kind = 'migrate' THEN
        format('Call migrate_resume(%1$s) to continue it, or migrate_cleanup(%1$s) to remove what it made.', r.id) END),
    context = $7, object = $8, side = $9
FROM (SELECT l.id, CASE WHEN $10 AND l.starts = 1
                         AND (l.phase IN ('start', 'preflight') OR (l.kind = 'verify' AND l.phase = 'snapshot'))
                         AND NOT EXISTS (SELECT FROM timescale_migrate.has_made h WHERE h.run = $1)
                         AND NOT EXISTS (SELECT FROM timescale_migrate.task_log t WHERE t.run = $1)
                        THEN 'refused' ELSE $2 END AS state
      FROM timescale_migrate.run_log l) e
WHERE e.id = r.id AND r.id = $1 AND r.state = 'running'
