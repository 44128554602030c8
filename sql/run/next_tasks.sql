-- The largest open tasks of a phase that are ready and that no session holds. This session holds them from now on. None if the run is in
-- another phase.
-- Run on: target, by the workers. $1 run, $2 phase of the tasks, $3 and $4 the place after which to search, $5 the phase that the run must be
-- in, $6 how many, $7 that phase and those before it beside which tasks may be taken, $8 the phases whose open tasks hold back those about the
-- same tables, $9 whether a task that another worker holds does so as well.
-- Returns: one JSON array per task, its place.
SELECT json_build_array(o.size, o.id)::text FROM (
    SELECT -t.estimated_bytes AS size, t.id FROM timescale_migrate.task_log t
    WHERE t.run = $1 AND t.state = 'pending' AND t.phase = $2 AND (-t.estimated_bytes, t.id) > ($3, $4)
      AND ($2 = $5 OR t.beside = ANY ($7))
      AND NOT coalesce(t.tables && (
          SELECT array_agg(DISTINCT k) FROM timescale_migrate.task_log e, unnest(e.tables) k
          WHERE e.run = $1 AND e.state = 'pending' AND e.phase = ANY ($8)), false)
      AND NOT coalesce($9 AND t.tables && (
          SELECT array_agg(k) FROM timescale_migrate.holder h JOIN timescale_migrate.task_log e ON e.id = h.id, unnest(e.tables) k
          WHERE NOT h.is_run AND e.run = $1 AND e.phase = $2 AND e.state = 'pending'), false)
    -- No lock is taken on what is not returned: all else is looked at before it.
    ORDER BY -t.estimated_bytes, t.id OFFSET 0) o
WHERE EXISTS (SELECT FROM timescale_migrate.run_log WHERE id = $1 AND state = 'running' AND phase = $5)
  AND timescale_migrate.try_lock_task(o.id) LIMIT $6
