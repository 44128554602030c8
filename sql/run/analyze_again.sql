-- Statistics of tables whose rows these copy tasks brought are collected once more. Chunks that are copied again get a task of their own.
-- Run on: target. $1 run, $2 ids of the copy tasks.
UPDATE timescale_migrate.task_log a SET state = 'pending', ended_at = NULL
FROM timescale_migrate.task_log c
WHERE a.run = $1 AND a.phase = 'analyze' AND a.state = 'done' AND a.copies IS NULL AND a.tables = c.tables AND c.id = ANY ($2)
