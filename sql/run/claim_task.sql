-- Enters who works on a task, unless it is done or the run is in another phase.
-- Run on: target, by the worker that holds the task. $1 task, $2 run, $3 phase that the run must be in.
UPDATE timescale_migrate.task_log SET worker = pg_backend_pid(), started_at = clock_timestamp()
WHERE id = $1 AND state = 'pending'
  AND EXISTS (SELECT FROM timescale_migrate.run_log r WHERE r.id = $2 AND r.state = 'running' AND r.phase = $3)
RETURNING json_build_array(object, work)::text
