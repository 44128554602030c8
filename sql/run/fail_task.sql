-- pending -> failed
-- Run on: target. $1 task, $7 worker; the error in $2 to $6 and $8.
UPDATE timescale_migrate.task_log SET state = 'failed', ended_at = clock_timestamp(), worker = $7,
       sqlstate = $2, error = $3, detail = $4, hint = $5, context = $6, side = $8
WHERE id = $1 AND state = 'pending'
