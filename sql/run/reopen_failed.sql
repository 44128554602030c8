-- failed -> pending, for a resume.
-- Run on: target. $1 run.
UPDATE timescale_migrate.task_log
SET state = 'pending', ended_at = NULL, side = NULL, sqlstate = NULL, error = NULL, detail = NULL, hint = NULL, context = NULL
WHERE run = $1 AND state = 'failed'
