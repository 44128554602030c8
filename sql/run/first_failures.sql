-- The first failure of each kind in a run, over all phases, by time.
-- Run on: target. $1 run.
SELECT json_build_array(phase, json_build_array(side, sqlstate, error, detail, hint, context, object))::text
FROM (SELECT DISTINCT ON (phase, side, sqlstate) * FROM timescale_migrate.task_log
      WHERE run = $1 AND state = 'failed' ORDER BY phase, side, sqlstate, ended_at) first
ORDER BY ended_at
