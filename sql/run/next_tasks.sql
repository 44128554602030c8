-- The largest open tasks of a phase that no session holds. This session holds them from now on. None if the run is in another phase.
-- Run on: target, by the workers. $1 run, $2 phase of the tasks, $3 and $4 the place after which to search, $5 the phase that the run must be
-- in, $6 how many.
-- Returns: one JSON array per task, its place.
SELECT json_build_array(o.size, o.id)::text FROM (
    SELECT -t.estimated_bytes AS size, t.id FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.state = 'pending' AND t.phase = $2 AND (-t.estimated_bytes, t.id) > ($3, $4)
    ORDER BY -t.estimated_bytes, t.id OFFSET 0) o
WHERE EXISTS (SELECT FROM timescale_migrate.run_log WHERE id = $1 AND state = 'running' AND phase = $5)
  AND timescale_migrate.try_lock_task(o.id) LIMIT $6
