-- failed | cancelled | interrupted -> running. The time of earlier starts is added up.
-- Run on: target, by the coordinator. $1 run, $2 options.
--
-- What a resume that made nothing has warned of, this one repeats, or it holds no more: then it is a warning no longer.
WITH refused AS (
    UPDATE timescale_migrate.message_log m SET level = 'notice'
    FROM timescale_migrate.run_log r
    WHERE r.id = $1 AND m.run = $1 AND m.level = 'warning' AND r.starts > 1 AND r.phase IN ('preflight', 'schema')
      AND m.phase = 'preflight' AND m.at >= r.begun_at
)
UPDATE timescale_migrate.run_log
SET state = 'running', phase = 'start', options = $2, stop_requested = false, snapshot = NULL, starts = starts + 1,
    pid = pg_backend_pid(), begun_at = clock_timestamp(),
    -- If a start has not recorded its end, the end of its last task counts.
    spent = spent + (SELECT coalesce(run_log.ended_at, greatest(run_log.begun_at, max(t.ended_at))) - run_log.begun_at
                     FROM timescale_migrate.task_log t WHERE t.run = $1),
    ended_at = NULL, side = NULL, sqlstate = NULL, error = NULL, detail = NULL, hint = NULL, context = NULL,
    object = NULL
WHERE id = $1 AND state NOT IN ('done', 'removed')
