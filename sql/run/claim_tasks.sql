-- Records the worker of tasks that are not done; of none if the run is in another phase.
-- Run on: target, by the worker that holds the tasks. $1 tasks, $2 run, $3 phase that the run must be in, $4 bytes up to which a task is
-- small.
-- Returns: one JSON object per task.
UPDATE timescale_migrate.task_log SET worker = pg_backend_pid(), started_at = clock_timestamp()
WHERE id = ANY ($1) AND state = 'pending'
  AND EXISTS (SELECT FROM timescale_migrate.run_log r WHERE r.id = $2 AND r.state = 'running' AND r.phase = $3)
RETURNING json_build_object('id', id, 'object', object, 'work', work, 'is_small', estimated_bytes <= $4)::text
