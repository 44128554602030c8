-- Whether a run has had a snapshot in this start, and the number of its finished tasks.
-- Run on: target. $1 run.
SELECT json_build_array(snapshot IS NOT NULL, (SELECT count(*) FROM timescale_migrate.task_log
                                               WHERE run = $1 AND state = 'done'))::text
FROM timescale_migrate.run_log WHERE id = $1
